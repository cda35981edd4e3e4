/* SPDX-License-Identifier: MIT */
'use strict';

/* The page as a whole: its head and foot, what is chosen, and who is told of it. */
(() => {
	const { el, name, byId, size, count, counted, percent, duration } = Format;
	const { session, totals, query, processes } = Data;
	const state = {
		show: query.show in Query.quantities ? query.show : 'total',
		group: query.group, cumulative: Boolean(query.cumulative), words: '', inverted: false, byLine: false,
		minBytes: query.min_bytes, top: query.top, order: { count: 'blocks', lifetime: 'lifetime' }[query.show],
	};

	const drawHead = () => {
		const command = session.snapshots === 1 ? session.command.join(' ') : `${session.snapshots} sessions`;
		byId('command').replaceChildren(name(command || 'unknown command'));
		byId('command').title = command;
		document.title = `${Data.base(session.command[0] || '') || 'heap'} – tracealloc`;
		const started = new Date(session.started_ms);
		const when = Number.isNaN(started.getTime()) ? null : `${started.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
		const engines = [...new Set(processes.map((one) => one.engine))].filter((one) => one && one !== 'none');
		const parts = [
			session.pid ? `process ${session.pid}` : null,
			processes.length > 1 ? `${counted(processes.length, 'process').replace('processs', 'processes')}` : null,
			when, `${session.origin === 'run' ? 'ran' : 'watched for'} ${duration(session.duration_ns)}`,
			session.host, session.system, engines.length ? `seen by ${engines.join(' and ')}s` : null,
		];
		byId('session').replaceChildren(...parts.filter(Boolean).flatMap((part, i) => [i ? ' · ' : '', name(part)]));
	};

	const drawFigures = () => {
		const figure = (term, value, note) => byId('figures').append(el('div', {}, el('dt', {}, term),
			el('dd', { class: 'value' }, value), el('dd', { class: 'note' }, note)));
		const at = session.snapshots === 1 ? `, after ${duration(totals.peak_at_ns)}` : '';
		figure('Peak', size(totals.peak_bytes), `${counted(totals.peak_blocks, 'block')}${at}`);
		if (session.origin === 'run')
			figure('Never freed', size(totals.current_bytes + totals.ended_bytes),
				counted(totals.current_blocks + totals.ended_blocks, 'block'));
		else
			figure('Live at the end', size(totals.current_bytes), counted(totals.current_blocks, 'block'));
		figure('Allocated in all', size(totals.total_bytes), counted(totals.total_blocks, 'block'));
		figure('Temporary', percent(totals.temporary_blocks, totals.total_blocks),
			`of all blocks, freed before the next`);
		const reasons = [...query.filters, ...query.skip.map((one) => `passing over ${one}`)];
		if (reasons.length) {
			byId('left-out').hidden = false;
			byId('left-out').replaceChildren('The table and the graph have a part of it: ', name(reasons.join(', ')),
'.');
		}
	};

	const drawChoices = (id, key, choices) => {
		for (const [value, label] of choices) {
			const input = el('input', { type: 'radio', name: key, value });
			input.checked = state[key] === value;
			input.addEventListener('change', () => set({ [key]: value }));
			byId(id).append(el('label', {}, input, el('span', {}, label)));
		}
	};

	/* What the figures cannot say, in words. */
	const drawUnknown = () => {
		const list = el('ul');
		const say = (number, ...words) => number && list.append(el('li', {}, ...words));
		say(totals.unknown_releases, `${count(totals.unknown_releases)} releases were of blocks that were never seen: allocated before tracing began.`);
		say(totals.inherited_releases, `${count(totals.inherited_releases)} releases in forked processes were of blocks of their parents.`);
		say(totals.implied_releases, `${count(totals.implied_releases)} releases were not seen; the address was given out again.`);
		say(totals.lost_events, `${count(totals.lost_events)} calls were lost.`);
		say(totals.truncated_stacks, `${count(totals.truncated_stacks)} calls had stacks deeper than ${session.depth} frames, which were cut (--depth).`);
		say(totals.incomplete_stacks, `${count(totals.incomplete_stacks)} calls had stacks that could not be followed to their end.`);
		say(totals.failed_calls, `${count(totals.failed_calls)} calls were refused by the allocator.`);
		for (const one of Data.unseen_functions)
			list.append(el('li', {}, 'Calls of ', name(one.function || '?'), ' in ', name(one.module || '?'), ' were not seen',
				one.reason ? ': ' : '.', one.reason ? name(one.reason) : null));
		const parts = [list.childElementCount ? list : el('p', { class: 'muted' }, 'Every call was seen, and its stack followed to its end.')];
		if (Data.blind_modules.length)
			parts.push(el('details', {},
				el('summary', {}, `${counted(Data.blind_modules.length, 'module')} without line information`),
				el('table', { class: 'plain' },
					el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Module'), el('th', { scope: 'col' }, 'Call stacks'),
						el('th', { scope: 'col' }, 'Build-id'))),
					el('tbody', {}, ...[...Data.blind_modules].sort((a, b) => b.sites - a.sites).map((one) =>
						el('tr', {}, el('th', { scope: 'row' }, name(one.module || '?')), el('td', {}, count(one.sites)),
							el('td', {}, name(one.build_id || 'none'))))))));
		byId('unknown').replaceChildren(...parts);
	};

	const drawFoot = () => {
		const cost = `${counted(totals.events, 'call')} seen; tracing took ${duration(totals.tracer_cpu_ns)} of processor time beside ` +
			`the program, which stood still for ${duration(totals.target_stopped_ns)}.`;
		byId('footer').replaceChildren(el('p', {}, cost), el('p', {}, 'Written by ', name(session.producer || 'tracealloc'),
			'. Sizes are as they were asked for; KiB are 1024 bytes.'));
	};

	const themes = { auto: 'Colours: system', light: 'Colours: light', dark: 'Colours: dark' };
	const setTheme = (theme) => {
		if (theme === 'auto')
			delete document.documentElement.dataset.theme;
		else
			document.documentElement.dataset.theme = theme;
		byId('theme').textContent = themes[theme];
		byId('theme').dataset.now = theme;
		Graph.redraw();
	};

	let pending = false;
	const set = (change) => {
		Object.assign(state, change);
		if (pending)
			return;
		pending = true;
		requestAnimationFrame(() => {
			pending = false;
			show();
		});
	};
	const show = () => {
		byId('quantity-text').textContent = Query.quantities[state.show].text +
			(query.charge === 'callee' ? ' Each block counts for the innermost function.' : '');
		Table.update(Query.run(state), state);
		Timeline.update(state);
		/* The graph stands further down: what is above it is seen first. */
		setTimeout(() => {
			Graph.update(state);
			document.documentElement.dataset.complete = String(Math.round(performance.now()));
		});
	};

	drawHead();
	drawFigures();
	drawChoices('quantities', 'show', Object.entries(Query.quantities).map(([key, one]) => [key, one.label]));
	drawChoices('groups', 'group', Object.entries(Query.groups));
	drawUnknown();
	drawFoot();
	byId('cumulative').checked = state.cumulative;
	byId('cumulative').addEventListener('change', (event) => set({ cumulative: event.target.checked }));
	byId('inverted').addEventListener('change', (event) => set({ inverted: event.target.checked }));
	byId('by-line').addEventListener('change', (event) => set({ byLine: event.target.checked }));
	byId('filter').addEventListener('input', (event) => set({ words: event.target.value.trim().toLowerCase() }));
	byId('search').addEventListener('input', (event) => Graph.find(event.target.value));
	byId('controls').addEventListener('submit', (event) => event.preventDefault());
	byId('theme').addEventListener('click', () => {
		const order = Object.keys(themes);
		setTheme(order[(order.indexOf(byId('theme').dataset.now) + 1) % order.length]);
	});
	const redraw = () => {
		Timeline.redraw();
		Graph.redraw();
	};
	let resizing = 0;
	window.addEventListener('resize', () => {
		cancelAnimationFrame(resizing);
		resizing = requestAnimationFrame(redraw);
	});
	window.addEventListener('beforeprint', redraw);
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
	setTheme('auto');
	show();
	document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
