/* SPDX-License-Identifier: MIT */
'use strict';

/* Figures as people read them, as the text report writes them; and pieces of the page. */
const Format = (() => {
	const whole = new Intl.NumberFormat('en-US');

	/* The first unit in which it has at most four digits. */
	const size = (bytes) => {
		const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
		let unit = 0;
		while (unit < 4 && bytes >= 10240) {
			bytes /= 1024;
			unit++;
		}
		const fine = (unit > 0 || bytes % 1 !== 0) && bytes < 100;
		return `${fine ? bytes.toFixed(1) : whole.format(Math.round(bytes))} ${units[unit]}`;
	};
	/* In the unit that suits the highest of an axis. */
	const axisSize = (bytes, highest) => {
		if (!bytes)
			return '0';
		const unit = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, highest)) / 10)));
		return `${whole.format(bytes / 1024 ** unit)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
	};
	const count = (number) => whole.format(number);
	const counted = (number, noun) => `${whole.format(number)} ${noun}${number === 1 ? '' : 's'}`;
	const percent = (part, all) => {
		const share = all > 0 ? (100 * part) / all : 0;
		return `${share > 0 && share < 0.05 ? '<0.1' : share.toFixed(1)} %`;
	};
	const duration = (ns) => {
		if (ns < 1e3)
			return `${Math.round(ns)} ns`;
		if (ns < 1e6)
			return `${(ns / 1e3).toFixed(1)} µs`;
		if (ns < 1e9)
			return `${(ns / 1e6).toFixed(1)} ms`;
		if (ns < 120e9)
			return `${(ns / 1e9).toFixed(2)} s`;
		const minutes = Math.floor(ns / 60e9);
		if (minutes < 120)
			return `${minutes} min ${Math.round((ns % 60e9) / 1e9)} s`;
		return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
	};

	const add = (element, attributes, children) => {
		for (const [name, value] of Object.entries(attributes))
			if (value !== null && value !== undefined)
				element.setAttribute(name, value);
		element.append(...children.filter((child) => child !== null && child !== undefined));
		return element;
	};
	/* Children are elements or text; text never becomes markup. */
	const el = (tag, attributes = {}, ...children) => add(document.createElement(tag), attributes, children);
	const svg = (tag, attributes = {}, ...children) =>
		add(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
	/* A name that came from elsewhere: its direction is its own. */
	const name = (words) => el('bdi', { dir: 'auto' }, words);
	const byId = (id) => document.getElementById(id);

	/* Round steps from 0 to at least top. */
	const ticks = (top, wanted, binary) => {
		if (!(top > 0))
			return [0];
		const root = binary ? 2 : 10;
		const steps = binary ? [1] : [1, 2, 5];
		let best = 1;
		for (let power = 0; power < 64; power++)
			for (const step of steps) {
				best = step * root ** power;
				if (top / best <= wanted)
					return Array.from({ length: Math.floor(top / best) + 1 }, (_, i) => i * best);
			}
		return [0, best];
	};

	return { size, axisSize, count, counted, percent, duration, el, svg, name, byId, ticks };
})();
