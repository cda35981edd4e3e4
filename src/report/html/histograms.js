/* SPDX-License-Identifier: MIT */
'use strict';

/* How large blocks were, and how long they lived: of the whole session. */
(() => {
	const { el, byId, size, count, percent, duration } = Format;
	const { sizes, lifetimes } = Data;

	const bar = (value, most) => {
		const filled = el('i');
		filled.style.width = `${most ? (100 * value) / most : 0}%`;
		return el('span', { class: 'meter wide', 'aria-hidden': 'true' }, filled);
	};

	/* rows: [label, blocks, more]; columns: what they are headed with. */
	const table = (caption, columns, rows) => {
		const most = Math.max(...rows.map((row) => row[1]));
		const all = rows.reduce((sum, row) => sum + row[1], 0);
		return el('table', { class: 'plain' }, el('caption', {}, caption),
			el('thead', {}, el('tr', {}, ...columns.map((one) => el('th', { scope: 'col' }, one)))),
			el('tbody', {}, ...rows.map(([label, blocks, ...more]) => el('tr', {},
				el('th', { scope: 'row' }, label),
				el('td', { class: 'share' }, bar(blocks, most), percent(blocks, all)),
				el('td', { class: 'number' }, count(blocks)),
				...more.map((one) => el('td', { class: 'number' }, count(one)))))));
	};

	const sizeRows = () => Array.from({ length: sizes.count }, (_, i) => i).filter((i) => sizes.total[i])
		.map((i) => [`up to ${size(sizes.high[i])}`, sizes.total[i], sizes.current[i]]);

	/* Classes end at 1, 2 and 5 times powers of ten; here at the powers. */
	const lifetimeRows = () => {
		const rows = new Map();
		for (let i = 0; i < lifetimes.count; i++) {
			const ends = lifetimes.high[i] < 1e19;
			const power = ends ? 10 ** Math.ceil(Math.log10(lifetimes.high[i]) - 1e-9) : Infinity;
			if (lifetimes.blocks[i])
				rows.set(power, (rows.get(power) || 0) + lifetimes.blocks[i]);
		}
		return [...rows].sort((a, b) => a[0] - b[0])
			.map(([power, blocks]) => [power === Infinity ? 'longer' : `less than ${short(power)}`, blocks]);
	};
	/* A power of ten of nanoseconds. */
	const short = (ns) => (ns < 1e9 ? duration(ns).replace('.0', '') : `${count(ns / 1e9)} s`);

	const tables = [
		sizes.count ? table('How large blocks were', ['Size', 'Share', 'Blocks', 'Live at the end'], sizeRows()) : null,
		lifetimes.count ? table('How long blocks lived that were freed', ['Lifetime', 'Share', 'Blocks'], lifetimeRows()) : null,
	].filter(Boolean);
	byId('histograms').append(...tables);
	byId('histogram-section').hidden = tables.length === 0;
})();
