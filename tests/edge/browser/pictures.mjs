/** Pixels written as PNG files by the page's library, as base64; Python decodes them. argv: JSON of {shape, data}. */

import { plainWire } from "../../../edge/browser/web/wire.js";

const pictures = JSON.parse(process.argv[2]).map(({ shape, data }) => ({ shape, data: Uint8Array.from(data) }));
const wire = await plainWire({ photo: pictures, text: ["a"], x: { shape: [2], data: Float32Array.of(1, NaN) } }, new Set(["photo"]));
console.log(JSON.stringify(wire));
