import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));

function files(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}

test('dist is the build of the committed sources', async () => {
  const fresh = mkdtempSync(join(tmpdir(), 'dealwire-web-'));
  try {
    await build({ root, logLevel: 'error', build: { outDir: fresh, emptyOutDir: true } });
    const committed = join(root, 'dist/graphiql');
    assert.deepEqual(files(committed), files(fresh), 'dist contains other files than a fresh build; run npm run build and commit the result');
    for (const file of files(fresh)) {
      const same = readFileSync(join(committed, file)).equals(readFileSync(join(fresh, file)));
      assert.ok(same, `${file} differs from a fresh build; run npm run build and commit the result`);
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
});
