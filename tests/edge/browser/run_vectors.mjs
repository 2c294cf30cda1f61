/** node run_vectors.mjs FILE...: the vectors in files of JSON, to standard output as JSON. */

import { readFile } from "node:fs/promises";
import { basename } from "node:path";

import { check } from "./vectors.mjs";

const results = {};
for (const path of process.argv.slice(2)) results[basename(path)] = await check(basename(path), JSON.parse(await readFile(path, "utf-8")));
console.log(JSON.stringify(results));
