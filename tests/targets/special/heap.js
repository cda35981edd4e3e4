// SPDX-License-Identifier: MIT

// Has the runtime allocate natively: tests/e2e/languages.c.
const zlib = require('zlib');
let sum = 0;
for (let i = 0; i < 100; i++)
    sum += zlib.deflateSync(Buffer.alloc(100000, i)).length;
console.log(sum > 0 ? 'done' : 'nothing');
