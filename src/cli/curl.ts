/** As much of curl as the demo needs, for where there is none, such as the image: -s -o -w -X -H -d. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    silent: { type: 'boolean', short: 's' },
    output: { type: 'string', short: 'o' },
    'write-out': { type: 'string', short: 'w' },
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd' },
  },
});
const body = values.data ?? null;
const response = await fetch(positionals[0] ?? '', {
  method: values.request ?? (body === null ? 'GET' : 'POST'),
  headers: (values.header ?? []).map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }),
  body,
});
const text = await response.text();
if (values.output === undefined) process.stdout.write(text);
else writeFileSync(values.output, text);
process.stdout.write((values['write-out'] ?? '').replace('%{http_code}', String(response.status)));
