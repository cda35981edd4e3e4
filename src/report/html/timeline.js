/* SPDX-License-Identifier: MIT */
'use strict';

/*
 * What was live over time. The outline is the highest use in each interval. Which rows held it is known
 * for some moments, the peak and the end among them; between two of them each changes evenly, unless all
 * together would be more than the outline.
 */
const Timeline = (() => {
	const { el, svg, name, byId, size, axisSize, counted, duration, ticks } = Format;
	const ROWS = 8;
	const HEIGHT = 240;
	const LEFT = 74;
	const RIGHT = 14;
	const TOP = 20;
	const BOTTOM = 24;
	const { timeline, details, marks, totals, session, sites } = Data;
	const holder = byId('timeline');
	const end = Math.max(session.duration_ns, timeline.count ? timeline.time_ns[timeline.count - 1] : 0, 1);
	/* Where the peak was reset, there may have been more before. */
	const highest = timeline.bytes.reduce((one, other) => Math.max(one, other), Math.max(totals.peak_bytes, 1));
	let width = 0;
	let picked = -1;
	let at = -1; /* the point under the cursor */
	let layers = null;
	let last = null;

	/* So many call stacks are kept apart at a moment (src/ledger/ledger.h). */
	const KEPT = 256;
	const isCut = details.some((one) => one.sites.length >= 2 * KEPT);

	/*
	 * Moments with the bytes of each site there, in the order of time: [site, bytes, ...]. At the peak and
	 * the end all are known; as many are taken as elsewhere, so that shares do not jump there.
	 */
	const moments = (() => {
		const all = details.map((one) => ({ time: one.time_ns, bytes: one.bytes, sites: one.sites }));
		const at = (time, values, bytes) => {
			let held = [];
			for (let i = 0; i < sites.count; i++)
				if (values[i])
					held.push([i, values[i]]);
			if (isCut)
				held = held.sort((a, b) => b[1] - a[1]).slice(0, KEPT);
			all.push({ time, bytes, sites: held.flat() });
		};
		at(totals.peak_at_ns, sites.peak_bytes, totals.peak_bytes);
		at(end, Query.quantities.leaked.bytes, totals.current_bytes + totals.ended_bytes);
		return all.sort((a, b) => a.time - b.time);
	})();

	/* Bytes of the largest rows at every moment, those of all others last. */
	const rowsOverTime = (state) => {
		const { numberOf, first } = Query.keysOf(state.group);
		const rowOf = (i) => (Data.start[i] < 0 ? -1 : numberOf[Data.nodes.frame[Data.start[i]]]);
		const most = new Map();
		const sums = moments.map((moment) => {
			const held = new Map();
			for (let k = 0; k < moment.sites.length; k += 2) {
				const row = rowOf(moment.sites[k]);
				held.set(row, (held.get(row) || 0) + moment.sites[k + 1]);
			}
			for (const [row, bytes] of held)
				most.set(row, Math.max(most.get(row) || 0, bytes));
			return held;
		});
		const largest = [...most].filter(([row]) => row >= 0).sort((a, b) => b[1] - a[1]).slice(0, ROWS);
		const keys = largest.map(([row]) => row);
		return {
			keys,
			frames: keys.map((key) => first[key]),
			held: sums.map((held) => keys.map((key) => held.get(key) || 0)),
			more: most.size > keys.length || isCut,
		};
	};

	const xOf = (time) => LEFT + ((width - LEFT - RIGHT) * time) / end;
	const yOf = (bytes) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * bytes) / highest;

	/* The outline, a point every other pixel: the highest use in that time. */
	const points = () => {
		const columns = Math.max(1, Math.floor((width - LEFT - RIGHT) / 2));
		const list = Array.from({ length: columns + 1 }, (_, k) => [(k * end) / columns, 0]);
		for (let i = 0; i < timeline.count; i++) {
			const next = i + 1 < timeline.count ? timeline.time_ns[i + 1] : end;
			const last = Math.min(columns, Math.ceil((next / end) * columns) - (i + 1 < timeline.count ? 1 : 0));
			const first = Math.min(last, Math.floor((timeline.time_ns[i] / end) * columns));
			for (let k = first; k <= last; k++)
				list[k][1] = Math.max(list[k][1], timeline.bytes[i]);
		}
		return list;
	};

	/* What each row held at a time when it was so much in all. */
	const heldAt = (held, time, all) => {
		let low = 0;
		let high = moments.length - 1;
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (moments[middle].time <= time)
				low = middle;
			else
				high = middle - 1;
		}
		const next = Math.min(low + 1, moments.length - 1);
		const span = moments[next].time - moments[low].time;
		const part = span > 0 ? Math.max(0, Math.min(1, (time - moments[low].time) / span)) : 0;
		const now = held[low].map((bytes, k) => bytes + (held[next][k] - bytes) * part);
		const sum = now.reduce((one, other) => one + other, 0);
		return sum > all ? now.map((bytes) => (bytes * all) / sum) : now;
	};

	const path = (list) => list.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

	const drawAreas = (root) => {
		const outline = points();
		const base = yOf(0);
		root.append(svg('path', { class: 'under',
			d: path([[xOf(0), base], ...outline.map(([t, b]) => [xOf(t), yOf(b)]), [xOf(end), base]]) }));
		const floors = outline.map(() => 0);
		const held = outline.map(([time, bytes]) => heldAt(layers.held, time, bytes));
		layers.keys.forEach((key, k) => {
			const lower = outline.map(([t], i) => [xOf(t), yOf(floors[i])]);
			outline.forEach(([, bytes], i) => {
				floors[i] = Math.min(bytes, floors[i] + held[i][k]);
			});
			const upper = outline.map(([t], i) => [xOf(t), yOf(floors[i])]);
			const area = svg('path', { class: picked >= 0 && picked !== k ? 'area faded' : 'area', 'data-layer': k,
				d: `${path([...upper, ...lower.reverse()])}Z` });
			area.style.fill = `var(--s${k % ROWS})`;
			root.append(area);
		});
		root.append(svg('path', { class: 'top', d: path(outline.map(([t, b]) => [xOf(t), yOf(b)])) }));
	};

	const drawAxes = (root) => {
		for (const bytes of ticks(highest, 5, true))
			root.append(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: yOf(bytes), y2: yOf(bytes) }),
				svg('text', { x: LEFT - 8, y: yOf(bytes) + 4, 'text-anchor': 'end' }, axisSize(bytes, highest)));
		for (const time of ticks(end, Math.max(2, Math.floor(width / 160)), false))
			root.append(svg('text', { x: xOf(time), y: HEIGHT - 6, 'text-anchor': time ? 'middle' : 'start' }, time ? duration(time) : '0'));
	};

	const drawPeak = (root) => {
		const x = xOf(totals.peak_at_ns);
		const left = x > width - 190;
		root.append(svg('line', { class: 'peak', x1: x, x2: x, y1: TOP - 6, y2: yOf(0) }),
			svg('text', { class: 'peak-text', x: left ? x - 6 : x + 6, y: TOP - 7, 'text-anchor': left ? 'end' : 'start' },
				`peak ${size(totals.peak_bytes)}`));
	};

	const MARK_NAME = { mark: (mark) => mark.name || 'mark', 'reset-peak': () => 'peak reset', snapshot: () => 'snapshot' };
	const nameOf = (mark) => MARK_NAME[mark.kind](mark);

	/* As much of a name as fits; nothing, if that would be its beginning alone. */
	const ruler = document.createElement('canvas').getContext('2d');
	const shorten = (words, room) => {
		const wide = (text) => ruler.measureText(text).width;
		const signs = [...words];
		let shown = signs.length;
		if (wide(words) > room)
			do {
				shown = Math.min(shown - 1, Math.floor((shown * room) / wide(`${signs.slice(0, shown).join('')}…`)));
			} while (shown > 0 && wide(`${signs.slice(0, shown).join('')}…`) > room);
		return shown === signs.length ? words : shown > 0 ? `${signs.slice(0, shown).join('')}…` : '';
	};

	/* A name stands beside its line as far as there is room up to the next one. */
	const drawMarks = (root) => {
		ruler.font = `12px ${getComputedStyle(document.body).fontFamily}`;
		marks.forEach((mark, i) => {
			const x = xOf(mark.time_ns);
			const next = i + 1 < marks.length ? xOf(marks[i + 1].time_ns) : width - RIGHT;
			const shown = shorten(nameOf(mark), next - x - 8);
			root.append(svg('line', { class: 'mark', x1: x, x2: x, y1: TOP, y2: yOf(0) }));
			if (shown)
				root.append(svg('text', { class: 'mark-text', x: x + 4, y: TOP + 10, direction: 'ltr' }, shown));
		});
	};

	const listMarks = () => {
		const cell = (words) => el('td', {}, words);
		byId('timeline-marks').hidden = !marks.length;
		byId('timeline-marks').replaceChildren(el('summary', {}, counted(marks.length, 'mark')),
			el('table', { class: 'plain' },
				el('thead', {}, el('tr', {}, ...['Mark', 'After', 'Live'].map((head) => el('th', { scope: 'col' }, head)))),
				el('tbody', {}, ...marks.map((mark) => el('tr', {}, el('th', { scope: 'row' }, name(nameOf(mark))),
					cell(duration(mark.time_ns)), cell(size(mark.bytes)))))));
	};

	const cursor = svg('line', { class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM, visibility: 'hidden' });
	const root = svg('svg', { height: HEIGHT, tabindex: '0', role: 'slider', 'aria-label': 'Live memory over time',
		'aria-valuemin': '0', 'aria-valuemax': String(Math.max(0, timeline.count - 1)), 'aria-valuenow': '0' });

	const tell = (index) => {
		at = Math.max(0, Math.min(timeline.count - 1, index));
		const time = timeline.time_ns[at];
		const all = timeline.bytes[at] || 1;
		const shares = heldAt(layers.held, time, all).map((bytes) => bytes / all);
		const words = `${duration(time)}: ${size(timeline.bytes[at])} in ${counted(timeline.blocks[at], 'block')}`;
		const order = shares.map((share, k) => [share, k]).filter(([share]) => share >= 0.01).sort((a, b) => b[0] - a[0]);
		const parts = order.slice(0, 3).flatMap(([share, k]) => [
			', about ', `${Math.round(share * 100)} % of it `, name(layers.labels[k])]);
		const next = at + 1 < timeline.count ? timeline.time_ns[at + 1] : Infinity;
		const here = marks.filter((mark) => mark.time_ns >= (at ? time : 0) && mark.time_ns < next);
		if (here.length)
			parts.push('; here: ', ...here.flatMap((mark, i) => [i ? ', ' : '', name(nameOf(mark))]));
		byId('timeline-readout').replaceChildren(el('strong', {}, words), ...parts);
		root.setAttribute('aria-valuenow', String(at));
		root.setAttribute('aria-valuetext', byId('timeline-readout').textContent);
		cursor.setAttribute('x1', xOf(time));
		cursor.setAttribute('x2', xOf(time));
		cursor.setAttribute('visibility', 'visible');
	};

	const draw = () => {
		width = Math.max(300, holder.clientWidth);
		root.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
		root.replaceChildren();
		drawAxes(root);
		drawAreas(root);
		drawMarks(root);
		drawPeak(root);
		root.append(cursor);
	};

	const drawLegend = () => {
		const entries = layers.keys.map((key, k) => {
			const swatch = el('span', { class: 'swatch' });
			swatch.style.background = `var(--s${k % ROWS})`;
			const button = el('button', { type: 'button', title: 'Go to its row' }, swatch, name(layers.labels[k]));
			const pick = (which) => () => {
				picked = which;
				for (const area of root.querySelectorAll('.area'))
					area.classList.toggle('faded', picked >= 0 && area.dataset.layer !== String(picked));
			};
			button.addEventListener('pointerenter', pick(k));
			button.addEventListener('pointerleave', pick(-1));
			button.addEventListener('focus', pick(k));
			button.addEventListener('blur', pick(-1));
			button.addEventListener('click', () => Table.reveal(key));
			return el('li', {}, button);
		});
		if (layers.more) {
			const swatch = el('span', { class: 'swatch' });
			swatch.style.background = 'var(--rest)';
			entries.push(el('li', {}, el('span', { class: 'entry' }, swatch,
				isCut ? 'all others, and small call stacks that were not kept apart' : 'all others')));
		}
		byId('timeline-legend').replaceChildren(...entries);
	};

	const follow = (event) => {
		const box = root.getBoundingClientRect();
		const time = ((event.clientX - box.left - LEFT) / (width - LEFT - RIGHT)) * end;
		let index = 0;
		while (index + 1 < timeline.count && timeline.time_ns[index + 1] <= time)
			index++;
		tell(index);
	};
	const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: 20, PageDown: -20 };
	root.addEventListener('pointermove', follow);
	root.addEventListener('pointerdown', follow);
	root.addEventListener('keydown', (event) => {
		if (event.key in steps)
			tell(Math.max(0, at) + steps[event.key]);
		else if (event.key === 'Home')
			tell(0);
		else if (event.key === 'End')
			tell(timeline.count - 1);
		else
			return;
		event.preventDefault();
	});

	const isThere = session.snapshots === 1 && timeline.count > 0;
	if (isThere) {
		holder.append(root);
		listMarks();
	} else {
		byId('timeline-section').hidden = true;
	}

	const update = (state) => {
		if (!isThere || (last && last.group === state.group))
			return;
		last = { ...state };
		layers = rowsOverTime(state);
		layers.labels = layers.frames.map((frame) => Query.labelOf(state.group, frame));
		byId('timeline-text').textContent = details.length
			? `The line is the highest use in each of ${timeline.count} intervals. Its parts are known at ` +
				`${moments.length} moments and drawn as changing evenly between them.`
			: `The line is the highest use in each of ${timeline.count} intervals.`;
		draw();
		drawLegend();
	};
	const redraw = () => isThere && layers && draw();

	return { update, redraw };
})();
