/* SPDX-License-Identifier: MIT */
'use strict';

/*
 * Questions to the data and their answers as rows: the same rules as those of tracealloc report, which
 * src/snapshot/query.h states.
 */
const Query = (() => {
	const { sites, frames, start, parent } = Data;
	const sum = (a, b) => sites.count === 0 ? null : Float64Array.from(sites[a], (value, i) => value + sites[b][i]);
	const none = new Float64Array(sites.count);

	/* Bytes and blocks of every site; where bytes are none, blocks are what rows are ordered by. */
	const quantities = {
		peak: {
			label: 'Peak', bytes: sites.peak_bytes, blocks: sites.peak_blocks,
			text: 'What was live at the moment of the highest use.',
		},
		current: {
			label: 'Live at the end', bytes: sites.current_bytes, blocks: sites.current_blocks,
			text: 'What was live when tracing ended. A process that has exited holds nothing any more.',
		},
		leaked: {
			label: 'Never freed', bytes: sum('current_bytes', 'ended_bytes') || none,
			blocks: sum('current_blocks', 'ended_blocks') || none,
			text: 'What was live when tracing ended, or when its process exited or called exec.',
		},
		total: {
			label: 'Allocated', bytes: sites.total_bytes, blocks: sites.total_blocks,
			text: 'Everything that was ever allocated, freed or not.',
		},
		temporary: {
			label: 'Temporary', bytes: none, blocks: sites.temporary_blocks, byBlocks: true,
			text: 'Blocks that were freed before their thread allocated the next one.',
		},
	};

	if (Data.query.waste)
		quantities.waste = {
			label: 'Waste', bytes: sites.waste_bytes, blocks: sites.peak_blocks,
			text: 'What the allocator gave beyond what was asked for, of the blocks at the peak.',
		};

	const groups = { line: 'Lines', function: 'Functions', file: 'Files', module: 'Modules' };

	const placeOfFile = (frame) =>
		frames.file[frame] ? `f${frames.file[frame]}` : `m${frames.module[frame]}`;
	/* What tells one row from another. */
	const keys = {
		line: (frame) => {
			if (Data.hasLine(frame))
				return `${frames.file[frame]}:${frames.line[frame]}`;
			const offset = frames.function[frame] ? '' : Data.frames.offset[frame];
			return `m${frames.module[frame]} ${frames.function[frame]} ${offset}`;
		},
		function: (frame) => `${frames.function[frame]} ${placeOfFile(frame)}`,
		file: placeOfFile,
		module: (frame) => `m${frames.module[frame]}`,
	};
	const fileName = (frame) => Data.path(frame) || Data.text(frames.module[frame]) || '<unknown>';
	const functionLabel = (frame) => {
		const called = Data.text(frames.function[frame]) || '<unknown>';
		const place = Data.path(frame) || Data.base(Data.text(frames.module[frame]));
		return place ? `${called} (${place})` : called;
	};
	const labels = {
		line: Data.lineName,
		function: functionLabel,
		file: fileName,
		module: (frame) => Data.text(frames.module[frame]) || '<unknown>',
	};

	/* Keys and labels of all frames, once for each grouping. */
	const known = new Map();
	const keysOf = (group) => {
		if (!known.has(group)) {
			const numbers = new Map();
			const numberOf = new Int32Array(frames.count);
			const first = [];
			for (let frame = 0; frame < frames.count; frame++) {
				const key = keys[group](frame);
				if (!numbers.has(key)) {
					numbers.set(key, first.length);
					first.push(frame);
				}
				numberOf[frame] = numbers.get(key);
			}
			known.set(group, { numberOf, first });
		}
		return known.get(group);
	};

	const columns = ['bytes', 'blocks', 'total_blocks', 'temporary_blocks', 'released_blocks', 'lifetime_ns'];
	const newRow = (key, frame, group) => ({
		key, frame, label: frame < 0 ? '<unknown>' : labels[group](frame), sites: [],
		bytes: 0, blocks: 0, total_blocks: 0, temporary_blocks: 0, released_blocks: 0, lifetime_ns: 0,
	});
	const addSite = (row, quantity, i) => {
		row.sites.push(i);
		row.bytes += quantity.bytes[i];
		row.blocks += quantity.blocks[i];
		for (const column of columns.slice(2))
			row[column] += sites[column][i];
	};

	/*
	 * All rows of a quantity and grouping, the largest first, and their sums, each site once. With callees
	 * a site counts for each of its frames that may be charged. A row has all sites of its place, also those
	 * without anything of the quantity: what else is said of it would be said of a part.
	 */
	const run = ({ show, group, cumulative }) => {
		const quantity = quantities[show];
		const { numberOf, first } = keysOf(group);
		const rows = new Map();
		const sums = newRow(-2, -1, group);
		const addTo = (node, i, seen) => {
			const key = node < 0 ? -1 : numberOf[Data.nodes.frame[node]];
			if (seen && seen.has(key))
				return;
			if (seen)
				seen.add(key);
			if (!rows.has(key))
				rows.set(key, newRow(key, key < 0 ? -1 : first[key], group));
			addSite(rows.get(key), quantity, i);
		};
		for (let i = 0; i < sites.count; i++) {
			addSite(sums, quantity, i);
			const seen = cumulative ? new Set() : null;
			addTo(start[i], i, seen);
			if (!cumulative || start[i] < 0)
				continue;
			for (let node = sites.leaf[i] - 1; node >= 0; node = parent(node))
				if (frames.own[Data.nodes.frame[node]])
					addTo(node, i, seen);
		}
		const order = quantity.byBlocks ? 'blocks' : 'bytes';
		const filled = [...rows.values()].filter((row) => row.bytes || row.blocks);
		return { rows: sort(filled, order, false), sums, quantity };
	};

	const values = {
		where: (row) => row.label,
		bytes: (row) => row.bytes,
		blocks: (row) => row.blocks,
		size: (row) => (row.blocks ? row.bytes / row.blocks : 0),
		temporary: (row) => (row.total_blocks ? row.temporary_blocks / row.total_blocks : 0),
		lifetime: (row) => (row.released_blocks ? row.lifetime_ns / row.released_blocks : -1),
	};
	const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
	const numbers = new Intl.Collator('en', { numeric: true });
	const sort = (rows, column, ascending) => {
		const value = values[column];
		const way = ascending ? 1 : -1;
		return rows.sort((a, b) => (column === 'where' ? way * numbers.compare(a.label, b.label)
			: way * compare(value(a), value(b)) || compare(b.bytes, a.bytes) || compare(b.blocks, a.blocks)
				|| numbers.compare(a.label, b.label)));
	};

	/* Whether the row, or a name that belongs to its line, has the words in it; in lower case. */
	const matches = (row, words) => {
		if (!words || row.label.toLowerCase().includes(words))
			return true;
		if (row.frame < 0)
			return false;
		const names = [Data.text(frames.function[row.frame]), Data.text(frames.module[row.frame]),
			Data.text(frames.file[row.frame]), Data.sourceLine(row.frame)];
		return names.some((one) => one && one.toLowerCase().includes(words));
	};

	const labelOf = (group, frame) => labels[group](frame);

	return { quantities, groups, run, sort, matches, keysOf, labelOf };
})();
