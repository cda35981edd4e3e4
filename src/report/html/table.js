/* SPDX-License-Identifier: MIT */
'use strict';

/* The table of rows: sorted by its headings, filtered, opened row by row. */
const Table = (() => {
	const { el, name, byId, size, count, counted, percent, duration } = Format;
	const AT_ONCE = 200;
	const STACKS = 5;
	const FRAMES = 12;
	const columns = [
		{ id: 'where', label: 'Where', ascending: true },
		{ id: 'bytes', label: 'Bytes' },
		{ id: 'share', label: 'Share', sort: 'bytes', minor: 'slim' },
		{ id: 'blocks', label: 'Blocks' },
		{ id: 'size', label: 'Mean size', minor: true },
		{ id: 'temporary', label: 'Temporary', minor: true, title: 'Freed before their thread allocated again' },
		{ id: 'lifetime', label: 'Mean lifetime', minor: true, title: 'Of the blocks that were freed' },
	];
	const table = byId('table');
	const head = el('tr');
	const body = el('tbody');
	const foot = el('tfoot');
	const caption = el('caption', { class: 'hidden' }, 'Rows can be sorted by the buttons in the headings and opened by the button in each.');
	table.append(caption, el('thead', {}, head), body, foot);

	let answer = null;
	let shown = [];
	let room = 0;
	let sorting = null; /* null: as the quantity has it */
	let opened = new Set();
	let group = '';

	const share = (row) => {
		const by = answer.quantity.byBlocks ? 'blocks' : 'bytes';
		return answer.sums[by] ? row[by] / answer.sums[by] : 0;
	};

	const meter = (part) => {
		const filled = el('i');
		filled.style.width = `${Math.max(0, Math.min(1, part)) * 100}%`;
		return el('span', { class: 'meter', 'aria-hidden': 'true' }, filled);
	};

	const cells = (row) => {
		const bytes = answer.quantity.byBlocks ? '–' : size(row.bytes);
		const mean = answer.quantity.byBlocks || !row.blocks ? '–' : size(row.bytes / row.blocks);
		const lifetime = row.released_blocks ? duration(row.lifetime_ns / row.released_blocks) : '–';
		return [
			el('td', { class: 'number' }, bytes),
			el('td', { class: 'share slim' }, meter(share(row)), percent(share(row), 1)),
			el('td', { class: 'number' }, count(row.blocks)),
			el('td', { class: 'number minor' }, mean),
			el('td', { class: 'number minor' }, percent(row.temporary_blocks, row.total_blocks)),
			el('td', { class: 'number minor' }, lifetime),
		];
	};

	const subtitle = (row) => {
		if (row.frame < 0 || group !== 'line')
			return null;
		const words = Data.sourceLine(row.frame);
		if (words && words.trim())
			return el('bdi', { class: 'text', dir: 'ltr' }, words.trim());
		const called = Data.hasLine(row.frame) && Data.text(Data.frames.function[row.frame]);
		return called ? el('bdi', { class: 'text', dir: 'auto' }, `in ${called}`) : null;
	};

	/* The lines around the row's, its own marked. */
	const sourceBlock = (row) => {
		if (row.frame < 0 || group !== 'line' || !Data.hasLine(row.frame))
			return null;
		const lines = [];
		for (let away = -3; away <= 3; away++) {
			const words = Data.sourceLine(row.frame, away);
			if (words === undefined)
				continue;
			lines.push(el('div', away === 0 ? { class: 'here' } : {},
				el('span', {}, count(Data.frames.line[row.frame] + away).replaceAll(',', '')),
				el('span', {}, words || ' ')));
		}
		return lines.length ? el('div', { class: 'source', tabindex: '0', role: 'group', 'aria-label': 'Source text' }, ...lines) : null;
	};

	const facts = (row) => {
		const list = el('dl', { class: 'facts' });
		const fact = (term, value) => value && list.append(el('dt', {}, term), el('dd', {}, value));
		const frame = row.frame;
		if (frame >= 0 && group === 'line')
			fact('Function', Data.text(Data.frames.function[frame]) && name(Data.text(Data.frames.function[frame])));
		if (frame >= 0 && group !== 'module')
			fact('Module', Data.text(Data.frames.module[frame]) && name(Data.base(Data.text(Data.frames.module[frame]))));
		for (const quantity of Object.values(Query.quantities)) {
			const sum = (values) => row.sites.reduce((all, i) => all + values[i], 0);
			const blocks = counted(sum(quantity.blocks), 'block');
			fact(quantity.label, quantity.byBlocks ? blocks : `${size(sum(quantity.bytes))} in ${blocks}`);
		}
		const largest = row.sites.reduce((most, i) => Math.max(most, Data.sites.largest_bytes[i]), 0);
		fact('Largest block', size(largest));
		const failed = row.sites.reduce((all, i) => all + Data.sites.failed_calls[i], 0);
		fact('Failed calls', failed ? count(failed) : null);
		return list;
	};

	const callOf = (node) => {
		const frame = Data.nodes.frame[node];
		const place = Data.hasLine(frame) ? ` (${Data.lineName(frame)})` : '';
		return el('li', {}, name(Data.functionName(frame) + place));
	};

	/* The calls of a site's stack, the far ones on demand. */
	const callsOf = (i) => {
		const calls = [];
		for (let node = Data.start[i]; node >= 0; node = Data.parent(node))
			calls.push(node);
		const near = calls.length > FRAMES + 3 ? FRAMES : calls.length;
		const list = el('ol', { class: 'stack' }, ...calls.slice(0, near).map(callOf));
		const end = Data.sites.truncated[i] ? el('li', {}, 'further callers are not known: the stack was cut') : null;
		if (near === calls.length) {
			list.append(...[end].filter(Boolean));
			return list;
		}
		const button = el('button', { type: 'button' }, `Show ${count(calls.length - near)} further callers`);
		button.addEventListener('click', () => {
			button.replaceWith();
			list.append(...calls.slice(near).map(callOf), ...[end].filter(Boolean));
		});
		return el('div', {}, list, button);
	};

	/* The largest stacks of a row, the first of them open. */
	const stacks = (row) => {
		const { bytes, blocks, byBlocks } = answer.quantity;
		const order = row.sites.filter((i) => bytes[i] || blocks[i]).sort((a, b) => (byBlocks ? blocks[b] - blocks[a]
			: bytes[b] - bytes[a] || blocks[b] - blocks[a]));
		const parts = [el('h3', {}, order.length === 1 ? 'Its call stack' : `Its ${count(order.length)} call stacks`)];
		order.slice(0, STACKS).forEach((i, k) => {
			const figure = byBlocks ? '' : `${size(bytes[i])} in `;
			const block = el('details', k === 0 ? { open: '' } : {},
				el('summary', {}, `${figure}${counted(blocks[i], 'block')}`));
			const fill = () => block.open && block.childElementCount === 1 && block.append(callsOf(i));
			block.addEventListener('toggle', fill);
			fill();
			parts.push(block);
		});
		if (order.length > STACKS)
			parts.push(el('p', { class: 'muted' }, `${count(order.length - STACKS)} smaller ones are not shown.`));
		return el('div', { class: 'stacks' }, ...parts);
	};

	const panel = (row) =>
		el('div', { class: 'panel' }, el('div', {}, sourceBlock(row), stacks(row)), facts(row));

	const open = (tr, button, row, wanted) => {
		button.setAttribute('aria-expanded', String(wanted));
		tr.classList.toggle('chosen', wanted);
		if (wanted) {
			opened.add(row.key);
			tr.after(el('tr', { class: 'detail' }, el('td', { colspan: columns.length }, panel(row))));
		} else {
			opened.delete(row.key);
			tr.nextElementSibling.remove();
		}
	};

	const addRow = (row) => {
		const button = el('button', { type: 'button', class: 'where', 'aria-expanded': 'false' },
			el('bdi', { class: 'name', dir: 'auto' }, row.label), subtitle(row));
		const tr = el('tr', {}, el('th', { scope: 'row' }, button), ...cells(row));
		button.addEventListener('click', () =>
			open(tr, button, row, button.getAttribute('aria-expanded') !== 'true'));
		tr.dataset.key = row.key;
		body.append(tr);
		if (opened.has(row.key))
			open(tr, button, row, true);
	};

	const addUp = (rows) => rows.reduce((sums, row) => {
		for (const column of ['bytes', 'blocks', 'total_blocks', 'temporary_blocks', 'released_blocks', 'lifetime_ns'])
			sums[column] += row[column];
		return sums;
	}, { bytes: 0, blocks: 0, total_blocks: 0, temporary_blocks: 0, released_blocks: 0, lifetime_ns: 0 });

	/* What is not shown, where rows add up; and the whole. */
	const drawFoot = (hidden, cumulative) => {
		foot.replaceChildren();
		if (hidden.length && !cumulative)
			foot.append(el('tr', { class: 'others' },
				el('th', { scope: 'row' }, `${count(hidden.length)} other`), ...cells(addUp(hidden))));
		foot.append(el('tr', {}, el('th', { scope: 'row' }, 'Total'), ...cells(answer.sums)));
	};

	const drawHead = () => {
		const current = sorting || { column: answer.quantity.byBlocks ? 'blocks' : 'bytes', ascending: false };
		head.replaceChildren(...columns.map((column) => {
			const sort = column.sort || column.id;
			const here = sort === current.column && (column.id === sort);
			const arrow = el('span', { class: 'arrow', 'aria-hidden': 'true' }, here ? (current.ascending ? '↑' : '↓') : '');
			const button = el('button', { type: 'button', title: column.title }, ...(column.id === 'where' ? [column.label, ' ', arrow] : [arrow, ' ', column.label]));
			button.addEventListener('click', () => {
				sorting = { column: sort, ascending: here ? !current.ascending : Boolean(column.ascending) };
				draw();
				head.querySelectorAll('button')[columns.indexOf(column)].focus();
			});
			return el('th', {
				scope: 'col', class: column.minor === true ? 'minor' : column.minor || null, 'data-column': column.id,
				'aria-sort': here ? (current.ascending ? 'ascending' : 'descending') : 'none',
			}, button);
		}));
	};

	let last = null;
	const draw = () => {
		const { words, cumulative, minBytes } = last;
		const rows = answer.rows.filter((row) => Query.matches(row, words));
		const large = rows.filter((row) => row.bytes >= minBytes || answer.quantity.byBlocks);
		shown = sorting ? Query.sort(large.slice(), sorting.column, sorting.ascending) : large;
		drawHead();
		body.replaceChildren();
		for (const row of shown.slice(0, room))
			addRow(row);
		const visible = new Set(shown.slice(0, room));
		drawFoot(answer.rows.filter((row) => !visible.has(row)), cumulative);
		const found = addUp(rows);
		const noun = Query.groups[group].toLowerCase();
		byId('table-status').textContent = words
			? `${count(rows.length)} of ${count(answer.rows.length)} ${noun} match` +
				(cumulative ? '' : answer.quantity.byBlocks ? `: ${counted(found.blocks, 'block')}` : `: ${size(found.bytes)}`)
			: `${count(answer.rows.length)} ${noun}` + (answer.quantity.byBlocks ? ''
				: `, ${size(answer.sums.bytes)} in ${counted(answer.sums.blocks, 'block')}`);
		const more = shown.length - Math.min(room, shown.length);
		const button = byId('more');
		button.hidden = more === 0;
		button.textContent = `Show ${count(Math.min(more, AT_ONCE))} more of ${count(more)}`;
	};

	byId('more').addEventListener('click', () => {
		const next = shown[room];
		room += AT_ONCE;
		draw();
		const tr = [...body.rows].find((one) => one.dataset.key === String(next.key));
		if (tr)
			tr.querySelector('button').focus();
	});

	/* state: show, group, cumulative, words (what the filter has), minBytes, top, order (at first). */
	const update = (next, state) => {
		if (state.group !== group) {
			opened = new Set();
			room = Math.max(25, Math.min(state.top, 1000));
		}
		if (!last)
			sorting = state.order ? { column: state.order, ascending: false } : null;
		else if (state.show !== last.show)
			sorting = null;
		answer = next;
		group = state.group;
		last = { ...state };
		draw();
	};

	/* Opens the row of a key and goes there. */
	const reveal = (key) => {
		const at = shown.findIndex((row) => row.key === key);
		if (at < 0)
			return;
		if (at >= room) {
			room = at + 1;
			draw();
		}
		const button = body.querySelector(`tr[data-key="${key}"] button`);
		if (button.getAttribute('aria-expanded') !== 'true')
			button.click();
		button.scrollIntoView({ block: 'center' });
		button.focus({ preventScroll: true });
	};

	return { update, reveal };
})();
