/* SPDX-License-Identifier: MIT */
'use strict';

/*
 * The data of the page: src/report/html.h says what is in it. Columns become typed arrays (0 stands for
 * one of zeroes), and the tree of stacks gets the links that the graph follows.
 */
const Data = (() => {
	const data = JSON.parse(document.getElementById('data').textContent);
	const fill = (table, names, Kind) => {
		for (const name of names)
			table[name] = table[name] === 0 ? new Kind(table.count) : Kind.from(table[name]);
	};
	fill(data.frames, ['file', 'label', 'function', 'module', 'line', 'own'], Uint32Array);
	fill(data.nodes, ['up', 'frame'], Uint32Array);
	fill(data.timeline, ['time_ns', 'bytes', 'blocks'], Float64Array);
	fill(data.sizes, ['low', 'high', 'total', 'current'], Float64Array);
	fill(data.lifetimes, ['low', 'high', 'blocks'], Float64Array);
	fill(data.sites, Object.keys(data.sites).filter((name) => name !== 'count'), Float64Array);

	const { frames, nodes, sites, strings } = data;
	const text = (number) => strings[number];
	const base = (path) => path && path.slice(path.lastIndexOf('/') + 1);

	/* The node whose frame a site is charged to; -1: its stack has no frame. */
	const start = new Int32Array(sites.count);
	for (let i = 0; i < sites.count; i++) {
		let node = sites.leaf[i] - 1;
		for (let k = sites.charged[i]; k > 0; k--)
			node -= nodes.up[node];
		start[i] = node;
	}

	const parent = (node) => (nodes.up[node] ? node - nodes.up[node] : -1);
	const firstChild = new Int32Array(nodes.count).fill(-1);
	const nextSibling = new Int32Array(nodes.count).fill(-1);
	const roots = [];
	for (let node = nodes.count - 1; node >= 0; node--) {
		const above = parent(node);
		if (above < 0) {
			roots.push(node);
		} else {
			nextSibling[node] = firstChild[above];
			firstChild[above] = node;
		}
	}

	/* "src/parse.c:414"; "parse (libx.so)"; "libx.so+0x12": as the text report calls a line. */
	const codeName = (frame) => {
		const called = text(frames.function[frame]);
		const module = base(text(frames.module[frame]));
		const offset = data.frames.offset[frame];
		if (called)
			return module ? `${called} (${module})` : called;
		if (module)
			return `${module}+${offset}`;
		return offset && offset !== '0x0' ? offset : '<unknown>';
	};
	const path = (frame) => text(frames.label[frame]) || text(frames.file[frame]);
	const hasLine = (frame) => frames.file[frame] !== 0 && frames.line[frame] !== 0;
	const lineName = (frame) => (hasLine(frame) ? `${path(frame)}:${frames.line[frame]}` : codeName(frame));
	const functionName = (frame) => text(frames.function[frame]) || codeName(frame);

	/* Source text by file and line. */
	const source = new Map();
	for (const [file, line, words] of data.source) {
		if (!source.has(file))
			source.set(file, new Map());
		source.get(file).set(line, words);
	}
	const sourceLine = (frame, away = 0) => {
		const lines = source.get(frames.file[frame]);
		return lines && lines.get(frames.line[frame] + away);
	};

	return {
		...data, start, parent, firstChild, nextSibling, roots, text, base, path, hasLine, lineName, codeName,
		functionName, sourceLine,
	};
})();
