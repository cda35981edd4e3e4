/* SPDX-License-Identifier: MIT */
'use strict';

/*
 * The icicle graph of call stacks: a box for each function (or line) under that of its caller, as wide as
 * what it and its callees hold. Inverted, boxes stand under those they called.
 *
 * A box is {label, frame, value, depth, up} with what it is made of: nodes of the tree of stacks, or
 * (inverted) pairs of a site and the node it has come to. Boxes below one are made when they are drawn.
 */
const Graph = (() => {
	const { el, name, byId, size, count, counted, percent } = Format;
	const ROW = 21;
	const LEAST = 2; /* pixels: narrower boxes are not drawn */
	const COLOURS = 8;
	const { nodes, frames, sites, start } = Data;
	const holder = byId('graph');
	const canvas = el('canvas', { tabindex: '0', role: 'application', 'aria-roledescription': 'flame graph',
		'aria-label': 'Call stacks. Arrow down goes to the largest callee, up to the caller, left and right to the neighbours. Enter shows a box alone, Escape shows its caller.' });
	holder.append(canvas);
	const pen = canvas.getContext('2d');

	let state = null;
	let quantity = null;
	let values = null; /* by site */
	let selves = null; /* by node: of the sites charged there */
	let sums = null; /* by node: with all below */
	let root = null;
	let zoomed = null;
	let chosen = null;
	let drawn = []; /* {box, x, y, width} */
	let hits = null; /* by node: the search matches it or a caller */
	let words = '';

	/* Modules by what they hold: the largest get colours of their own. */
	const colourOf = new Map();
	const modules = [];

	const keyOf = (frame) => {
		if (state.byLine)
			return Query.keysOf('line').numberOf[frame];
		return Query.keysOf('function').numberOf[frame];
	};
	const labelOf = (frame) => {
		const called = Data.functionName(frame);
		return state.byLine && Data.hasLine(frame) ? `${called} (${Data.lineName(frame)})` : called;
	};

	/* Puts parts under the boxes of their keys; part: [frame, value, what it is made of]. */
	const gather = (up, parts) => {
		const boxes = new Map();
		for (const [frame, value, made] of parts) {
			const key = keyOf(frame);
			let box = boxes.get(key);
			if (!box) {
				box = { label: labelOf(frame), frame, value: 0, depth: up.depth + 1, up, made: [] };
				boxes.set(key, box);
			}
			box.value += value;
			box.made.push(made);
		}
		return [...boxes.values()].sort((a, b) => b.value - a.value || (a.label < b.label ? -1 : 1));
	};

	const callees = (box) => {
		const parts = [];
		const add = (node) => sums[node] > 0 && parts.push([nodes.frame[node], sums[node], node]);
		if (!box.made)
			Data.roots.forEach(add);
		else
			for (const node of box.made)
				for (let child = Data.firstChild[node]; child >= 0; child = Data.nextSibling[child])
					add(child);
		return gather(box, parts);
	};
	const callers = (box) => {
		const parts = [];
		const add = (node, i) => node >= 0 && parts.push([nodes.frame[node], values[i], [i, node]]);
		if (!box.made)
			start.forEach((node, i) => values[i] > 0 && add(node, i));
		else
			for (const [i, node] of box.made)
				add(Data.parent(node), i);
		return gather(box, parts);
	};
	const below = (box) => {
		box.down = box.down || (state.inverted ? callers(box) : callees(box));
		return box.down;
	};

	const weigh = () => {
		values = quantity.byBlocks ? quantity.blocks : quantity.bytes;
		selves = new Float64Array(nodes.count);
		let all = 0;
		for (let i = 0; i < sites.count; i++) {
			all += values[i];
			if (start[i] >= 0)
				selves[start[i]] += values[i];
		}
		sums = selves.slice();
		for (let node = nodes.count - 1; node >= 0; node--)
			if (nodes.up[node])
				sums[node - nodes.up[node]] += sums[node];
		return all;
	};

	const sortModules = () => {
		const held = new Map();
		for (let node = 0; node < nodes.count; node++)
			if (selves[node]) {
				const module = frames.module[nodes.frame[node]];
				held.set(module, (held.get(module) || 0) + selves[node]);
			}
		colourOf.clear();
		modules.length = 0;
		[...held].sort((a, b) => b[1] - a[1]).slice(0, COLOURS).forEach(([module, value], k) => {
			colourOf.set(module, k);
			modules.push({ module, value });
		});
	};

	const search = () => {
		if (!words) {
			hits = null;
			return;
		}
		const matched = new Uint8Array(frames.count);
		for (let frame = 0; frame < frames.count; frame++)
			matched[frame] = [frames.function[frame], frames.file[frame], frames.module[frame]]
				.some((number) => number && Data.text(number).toLowerCase().includes(words)) ? 1 : 0;
		hits = { matched, nodes: new Uint8Array(nodes.count) };
		for (let node = 0; node < nodes.count; node++)
			hits.nodes[node] = matched[nodes.frame[node]] || (nodes.up[node] && hits.nodes[node - nodes.up[node]]) ? 1 : 0;
	};
	const found = () => start.reduce((all, node, i) => all + (node >= 0 && hits.nodes[node] ? values[i] : 0), 0);

	const figure = (value) => (quantity.byBlocks ? counted(value, 'block') : size(value));
	const describe = (box) => {
		const place = box.frame >= 0 && Data.hasLine(box.frame) && !state.byLine ? ` in ${Data.path(box.frame)}` : '';
		const module = box.frame >= 0 && frames.module[box.frame] ? `, ${Data.base(Data.text(frames.module[box.frame]))}` : '';
		return [name(box.label), `${place}${module}: ${figure(box.value)}, ${percent(box.value, root.value)} of all`];
	};

	const colours = () => {
		const style = getComputedStyle(document.documentElement);
		const get = (key) => style.getPropertyValue(key).trim();
		return {
			series: Array.from({ length: COLOURS }, (_, k) => get(`--s${k}`)),
			rest: get('--rest'), ink: get('--ink'), paper: get('--paper'), hit: get('--hit'), soft: get('--soft'),
			muted: get('--muted'), mono: get('--mono'),
		};
	};

	const fillOf = (box, palette) => {
		if (box === root)
			return palette.soft;
		if (hits)
			return hits.matched[box.frame] ? palette.hit : palette.rest;
		const k = colourOf.get(frames.module[box.frame]);
		return k === undefined ? palette.rest : palette.series[k];
	};
	/* Neighbours of one module differ a little, each function always in the same way. */
	const strength = (box) => {
		let sum = 0;
		for (let i = 0; i < box.label.length; i++)
			sum = (sum * 31 + box.label.charCodeAt(i)) % 997;
		return 0.72 + (0.28 * (sum % 8)) / 7;
	};
	/* What can be read on a colour "#rrggbb" that is mixed with paper. */
	const inkOn = (fill, part, palette) => {
		const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
		const light = [0.299, 0.587, 0.114].reduce((sum, weight, i) =>
			sum + weight * (part * channel(fill, i) + (1 - part) * channel(palette.paper, i)), 0);
		return light > 140 ? '#14171c' : '#ffffff';
	};

	/* The part of a name that fits; text is as wide as its letters, which are all alike here. */
	const fit = (words, room, letter) => {
		const most = Math.floor(room / letter);
		const letters = [...words];
		if (letters.length <= most)
			return words;
		return most < 3 ? '' : `${letters.slice(0, most - 1).join('')}…`;
	};

	const layout = (width) => {
		drawn = [];
		const above = [];
		for (let box = zoomed.up; box; box = box.up)
			above.unshift(box);
		above.forEach((box, k) => drawn.push({ box, x: 0, y: k * ROW, width, faded: true }));
		const pending = [{ box: zoomed, x: 0, y: above.length * ROW, width }];
		while (pending.length) {
			const place = pending.pop();
			drawn.push(place);
			let x = place.x;
			for (const box of below(place.box)) {
				const wide = (place.width * box.value) / place.box.value;
				if (wide < LEAST)
					break;
				pending.push({ box, x, y: place.y + ROW, width: wide });
				x += wide;
			}
		}
		return drawn.reduce((deepest, place) => Math.max(deepest, place.y), 0) + ROW;
	};

	const draw = () => {
		if (!root)
			return;
		const width = Math.max(280, holder.clientWidth);
		const height = layout(width) + 2;
		const scale = window.devicePixelRatio || 1;
		canvas.width = Math.round(width * scale);
		canvas.height = Math.round(height * scale);
		canvas.style.height = `${height}px`;
		pen.setTransform(scale, 0, 0, scale, 0, 0);
		const palette = colours();
		pen.font = `12px ${palette.mono}`;
		pen.textBaseline = 'middle';
		const letter = pen.measureText('mmmmmmmmmm').width / 10;
		for (const { box, x, y, width: wide, faded } of drawn) {
			const part = faded ? 0.5 : hits || box === root ? 1 : strength(box);
			const fill = fillOf(box, palette);
			pen.globalAlpha = part;
			pen.fillStyle = fill;
			pen.fillRect(x, y, Math.max(1, wide - 1), ROW - 1);
			pen.globalAlpha = 1;
			const words = wide > 3 * letter ? fit(box.label, wide - 10, letter) : '';
			if (words) {
				pen.fillStyle = inkOn(fill, part, palette);
				pen.fillText(words, x + 5, y + ROW / 2);
			}
			if (box === chosen) {
				pen.strokeStyle = palette.ink;
				pen.lineWidth = 2;
				pen.strokeRect(x + 1, y + 1, Math.max(1, wide - 3), ROW - 3);
			}
		}
	};

	const say = (box) => byId('graph-readout').replaceChildren(...(box ? describe(box) : []), box && hits ? ' · ' : '',
		hits ? `found in ${figure(found())}, ${percent(found(), root.value)} of all` : '');
	const choose = (box) => {
		chosen = box;
		say(box);
		draw();
	};
	const zoom = (box) => {
		zoomed = box;
		byId('reset').disabled = box === root;
		choose(box === root ? null : box);
	};

	const boxAt = (event) => {
		const area = canvas.getBoundingClientRect();
		const x = event.clientX - area.left;
		const y = event.clientY - area.top;
		const place = drawn.find((one) => x >= one.x && x < one.x + one.width && y >= one.y && y < one.y + ROW);
		return place && place.box;
	};
	const tip = byId('tip');
	canvas.addEventListener('pointermove', (event) => {
		const box = boxAt(event);
		tip.hidden = !box;
		if (!box)
			return;
		tip.replaceChildren(...describe(box));
		const space = tip.getBoundingClientRect();
		tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, window.innerWidth - space.width - 8))}px`;
		tip.style.top = `${event.clientY + 18 + space.height > window.innerHeight ? event.clientY - space.height - 10 : event.clientY + 18}px`;
	});
	canvas.addEventListener('pointerleave', () => {
		tip.hidden = true;
	});
	canvas.addEventListener('click', (event) => {
		const box = boxAt(event);
		if (box)
			zoom(box);
	});

	/* Only boxes that are drawn can be gone to. */
	const isDrawn = (box) => drawn.some((place) => place.box === box);
	const neighbour = (step) => {
		if (!chosen.up)
			return null;
		const row = below(chosen.up).filter(isDrawn);
		return row[row.indexOf(chosen) + step];
	};
	const keys = {
		ArrowDown: () => below(chosen).find(isDrawn),
		ArrowUp: () => chosen.up,
		ArrowLeft: () => neighbour(-1),
		ArrowRight: () => neighbour(1),
		Home: () => root,
	};
	canvas.addEventListener('keydown', (event) => {
		chosen = chosen || zoomed;
		if (event.ctrlKey || event.altKey || event.metaKey)
			return;
		if (event.key in keys) {
			const next = keys[event.key]();
			if (next)
				choose(next);
		} else if (event.key === 'Enter' || event.key === ' ') {
			zoom(chosen);
		} else if (event.key === 'Escape' && zoomed.up) {
			zoom(zoomed.up);
		} else {
			return;
		}
		event.preventDefault();
	});
	canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && choose(chosen || zoomed));

	const drawLegend = () => byId('graph-legend').replaceChildren(...modules.map(({ module }, k) => {
		const swatch = el('span', { class: 'swatch' });
		swatch.style.background = `var(--s${k})`;
		return el('li', {}, el('span', { class: 'entry' }, swatch, name(Data.base(Data.text(module)) || 'no module')));
	}));

	const rebuild = () => {
		const all = weigh();
		root = { label: 'all', frame: -1, value: all, depth: 0, up: null, made: null };
		zoomed = root;
		chosen = null;
		byId('reset').disabled = true;
		sortModules();
		search();
		drawLegend();
		byId('graph-text').textContent = all ? `${figure(all)} in ${counted(values.reduce((sum, value) => sum + (value > 0 ? 1 : 0), 0), 'different call stack')}. ` +
			`${state.inverted ? 'What allocated stands at the top, its callers below.' : 'Callers stand above what they called.'} ` +
			'Click a box to see it alone.' : 'There is nothing of this kind.';
		canvas.hidden = !all;
		say(null);
		draw();
	};

	/* next: show, inverted, byLine. */
	const update = (next) => {
		if (state && state.show === next.show && state.inverted === next.inverted && state.byLine === next.byLine)
			return;
		state = { ...next };
		quantity = Query.quantities[state.show];
		rebuild();
	};
	const find = (text) => {
		words = text.trim().toLowerCase();
		search();
		say(null);
		draw();
	};
	byId('reset').addEventListener('click', () => zoom(root));

	return { update, find, redraw: draw };
})();
