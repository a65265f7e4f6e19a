// The game day, inside the servers that scripts/gameday has started: sets up a market with traffic, plays the scenes, and
// checks at the end that nothing was lost. See scripts/gameday for its arguments.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Market } from './market.mjs';
import { SCENES } from './scenes.mjs';
import { heading, note, paragraph } from './tell.mjs';
import { Traffic } from './traffic.mjs';

const { values: options } = parseArgs({
  options: {
    binary: { type: 'string' },
    previous: { type: 'string' },
    only: { type: 'string', multiple: true },
  },
});

const unknown = (options.only ?? []).filter((name) => !SCENES.some((scene) => scene.name === name));
if (unknown.length > 0) {
  console.error(`scripts/gameday: there is no scene ${unknown.join(', ')}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'dealwire-game-day-'));
const market = new Market(folder, options.binary, options.previous);
let traffic;

async function play() {
  await market.start();
  traffic = await Traffic.start(market);
  await traffic.goesOn();

  const summary = [];
  for (const scene of SCENES) {
    if (options.only && !options.only.includes(scene.name)) continue;

    const obstacle = await scene.obstacle?.(market);
    if (obstacle) {
      summary.push(`${scene.name}: left out, because ${obstacle}`);
      continue;
    }

    heading(scene.title);
    const before = traffic.counts();
    await scene.play(market, traffic);
    await traffic.goesOn();
    const { acknowledged, refused } = traffic.counts();
    note(`The market goes on. All ${acknowledged} acknowledged changes so far are there.`);
    summary.push(
      `${scene.name}: as said; ${acknowledged - before.acknowledged} changes acknowledged, `
        + `${refused - before.refused} attempts refused and repeated`,
    );
  }

  heading('The end of the day');
  await traffic.finish();
  await market.operator.types(['verify']);
  return summary;
}

/** Plays, unless a task that should go on has failed first. */
async function playOrFail() {
  const failure = new Promise((_, reject) => process.on('unhandledRejection', reject));
  return Promise.race([play(), failure]);
}

let status = 0;
try {
  const summary = await playOrFail();
  const { acknowledged, pushed } = traffic.counts();
  paragraph(summary.join('\n'));
  paragraph(`${acknowledged} changes were acknowledged, and ${pushed} were pushed to the subscriber, each once and in order.`);
} catch (error) {
  status = 1;
  console.error(`\nNot as said: ${error instanceof assert.AssertionError ? error.message : error.stack}`);
  market.tellLogs();
} finally {
  traffic?.abandon();
  await market.end();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(status);
