// The scenes of the game day. Each breaks something, shows what an operator sees, types what the operator types, and leaves
// the market whole. scripts/gameday waits after each until the market goes on.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { paragraph, seen, typed } from './tell.mjs';
import { until } from './wait.mjs';

/** First seller of the demo market. */
const SELLER = '90d57fe0-0fa1-4dae-a51c-917cc82bcdda';
/** Deal of the demo market that the traffic leaves alone. */
const DEAL = '56c5e92a-683b-430e-8466-5721c7cacb90';

export const SCENES = [
  { name: 'empty-nats', title: 'NATS comes back empty', play: emptyNats },
  { name: 'truncated-log', title: 'NATS comes back with an older disk', play: truncatedLog },
  {
    name: 'reopen',
    title: 'The end of the log is lost for good',
    play: reopen,
    obstacle: async ({ operator, binary }) => {
      const { text } = await operator.tries(binary, ['log', '--help']);
      return /^ +reopen /m.test(text) ? undefined : 'this binary has no `dealwire log reopen`';
    },
  },
  { name: 'foreign-message', title: 'Somebody else publishes to the log', play: foreignMessage },
  { name: 'full-disk', title: 'The disk of NATS is full', play: fullDisk },
  {
    name: 'rollback',
    title: 'The release is taken back',
    play: rollback,
    obstacle: (market) => (market.previous ? undefined : 'no binary of an earlier release was given (--previous)'),
  },
  { name: 'restore', title: 'Everything is restored from backups', play: restore },
  { name: 'rebuild', title: 'Tables are wrong, and are built anew under load', play: rebuild },
];

async function emptyNats({ nats, gateway, projectors, operator }, traffic) {
  paragraph('NATS moves to a new machine. The gateway is stopped, so that nothing is written, and the log is exported.');
  typed('systemctl stop dealwire-gateway');
  await gateway.stop();
  await operator.types(['log', 'export', 'log.jsonl']);

  paragraph('The new NATS is empty, and the gateway is started before the log is imported. It refuses to write: changes that '
    + 'it accepted would be on a log that no table is made from.');
  const since = projectors.mark();
  await nats.stop();
  nats.empty();
  await nats.start();
  typed('systemctl start dealwire-gateway');
  gateway.start();
  await gateway.tells('it is missing, but the seller tables were built');
  await traffic.isRefused('UNAVAILABLE');
  await projectors.logs('no events in the stream', since);

  paragraph('The export is imported. It keeps its epoch and its sequences, so positions that clients have stored stay valid. '
    + 'The processes find the log by themselves.');
  await operator.types(['log', 'import', 'log.jsonl']);
  await projectors.recovers({ show: false });
  await gateway.recovers();
}

async function truncatedLog({ folder, nats, gateway, projectors, operator }, traffic) {
  const [snapshot, disk] = [join(folder, 'snapshot'), join(folder, 'disk')];
  await nats.stop();
  nats.copyTo(snapshot);
  await nats.start();
  await traffic.goesOn();

  paragraph('The machine of NATS dies, and comes back with the snapshot of an earlier hour: the log has lost its end. Events '
    + 'that were written now would take the sequences of lost ones, so nothing is written.');
  await nats.kill();
  nats.copyTo(disk);
  nats.putBack(snapshot);
  const since = projectors.mark();
  await nats.start();
  await gateway.tells('has lost its end');
  await traffic.isRefused('UNAVAILABLE');
  await projectors.logs('which the log does not have', since);
  await operator.types(['check-config'], { code: 1 });

  paragraph('The operator finds the right disk, and starts NATS with it. Nothing has to be restarted.');
  typed('systemctl stop nats; mount /dev/disk/by-label/nats /data; systemctl start nats');
  await nats.stop();
  nats.putBack(disk);
  await nats.start();
  await gateway.recovers();
}

async function reopen(market, traffic) {
  const { folder, nats, gateway, projectors, operator } = market;
  const snapshot = join(folder, 'snapshot');
  await traffic.pause();
  const kept = traffic.copy();
  await nats.stop();
  nats.copyTo(snapshot);
  await nats.start();
  traffic.resume();
  await traffic.goesOn();
  await traffic.pause();
  const lost = traffic.acknowledged.size - kept.acknowledged.size;

  paragraph(`The disk of NATS is broken, and nobody has a copy of the last ${lost} changes, which were acknowledged. All that is `
    + 'left is the snapshot of an earlier hour.');
  await nats.kill();
  nats.putBack(snapshot);
  await nats.start();
  await gateway.tells('has lost its end');

  paragraph('The operator goes on without them, under a new epoch. This is the only scene that loses something, and everybody is '
    + 'told: processes that remember what is lost end, and their supervisor starts them again.');
  traffic.mayExpire = true;
  await operator.types(['log', 'reopen', '--yes']);
  for (const role of [gateway, projectors]) {
    await until(`the ${role.name} ends`, () => role.process.hasEnded());
  }
  market.startProcesses();
  await market.ready();

  paragraph('The buyer holds a position of the old epoch. It is told so, queries, and goes on from the position of the answer. '
    + 'Deals are as they were before the lost changes.');
  await traffic.goBackTo(kept);
  traffic.mayExpire = false;
  traffic.resume();
  await operator.types(['verify']);
}

async function foreignMessage({ nats, gateway, projectors, operator, environment }, traffic) {
  const market = environment.DEALWIRE_MARKET;
  const stranger = `deal.${SELLER}.${randomUUID()}`;

  paragraph('A script publishes to a subject of the market, because NATS runs without permissions (see deploy/nats.conf). The '
    + 'message is no event. It is set aside as dead; everything else goes on.');
  const since = projectors.mark();
  const { seq: foreign } = await nats.publish(`${market}.${stranger}`, [['ce-type', 'deal.created']], '{"price": 1}');
  await projectors.metric('dealwire_projection_dead_events_total{projection="buyer"}', (value) => value > 0);
  await projectors.logs(`set event ${foreign} aside`, since);
  await operator.types(['dead-events', 'list']);
  await operator.types(['dead-events', 'show', String(foreign)]);
  await operator.types(['dead-events', 'discard', String(foreign), '--by', 'ann', '--why', 'a script of ours, stopped']);
  await traffic.goesOn();

  paragraph('A message comes that a newer version of Dealwire has written, as it may after a release was taken back. Projections '
    + 'wait at it, because that version would apply it; every gateway tells. Changes are accepted, and will be applied later.');
  const { headers, body } = await newestEvent(operator);
  const newer = `deal.${SELLER}.${randomUUID()}`;
  const renamed = { ...headers, 'ce-id': randomUUID(), 'ce-subject': newer, 'ce-schemaversion': '2' };
  const { seq: stuck } = await nats.publish(`${market}.${newer}`, Object.entries(renamed), body);
  await gateway.tells(`before event ${stuck}`);
  await projectors.metric('dealwire_projection_stuck_event{projection="buyer"}', (value) => value === stuck);
  const acknowledged = traffic.counts().acknowledged;
  await until('changes are accepted meanwhile', () => traffic.counts().acknowledged > acknowledged);

  paragraph('The newer version will not come back, so the operator lets the projections go on without its event.');
  await operator.types(['dead-events', 'skip', String(stuck), '--by', 'ann', '--why', 'the release was taken back']);
  await gateway.recovers();
}

/** Newest event of a deal in the log, as it is stored. */
async function newestEvent(operator) {
  const lines = (await operator.types(['log', 'export'], { shown: false })).trim().split('\n');
  const events = lines.slice(1).map((line) => JSON.parse(line));
  return events.findLast(({ subject, headers }) => subject.startsWith('deal.') && headers['ce-schemaversion'] === '1');
}

async function fullDisk({ nats, gateway }, traffic) {
  paragraph('Another program fills the disk of NATS. A change is acknowledged when it is stored, so none is now; queries and '
    + 'pushes go on. Whether NATS answers at all depends on its version: some hang, and every gateway tells; others say it in '
    + 'their log.');
  nats.fill();
  await traffic.isRefused('UNAVAILABLE', 'UNKNOWN_OUTCOME');
  await until('the gateway or NATS tells what is wrong', async () => {
    const { degraded } = (await gateway.readiness())?.body ?? {};
    return degraded?.['event log'] || nats.process.text().includes('no space left on device');
  });
  await gateway.shows();
  seen('log of NATS', nats.process.text().split('\n').find((line) => line.includes('no space left')) ?? 'nothing');

  paragraph('The operator makes room, and starts NATS again: version 2.9 does not go on by itself after a write that has '
    + 'failed.');
  typed('rm /data/ballast; systemctl restart nats');
  nats.makeRoom();
  await nats.kill();
  await nats.start();
  await gateway.recovers();
}

async function rollback(market, traffic) {
  const { operator, previous, binary, gateway, projectors } = market;
  if (!(await startsBesideNewerTables(market))) {
    paragraph('The release is to be taken back, to one that refuses tables which a newer one has migrated, as 0.1.0 does. The '
      + 'operator tries it before anything is stopped, and stays on this release.');
    await operator.runs(previous, ['migrate'], { name: 'dealwire-before', code: 1 });
    return;
  }

  paragraph('The release is taken back: the binary of the one before runs on the tables that this one has migrated.');
  await replace([projectors, gateway], previous);
  await traffic.goesOn();
  await gateway.recovers();

  paragraph('And forward again.');
  await replace([projectors, gateway], binary);
  await gateway.recovers();
}

/** Whether the earlier release accepts tables that a newer one has migrated; its refusal must be that of 0.1.0. */
async function startsBesideNewerTables({ operator, previous }) {
  const { status, text } = await operator.tries(previous, ['migrate']);
  assert.ok(status === 0 || text.includes('was previously applied but is missing'), text);
  return status === 0;
}

/** Replaces processes one by one, as a rolling upgrade does. */
async function replace(roles, binary) {
  for (const role of roles) {
    typed(`systemctl restart dealwire-${role.name}      # ${binary}`);
    await role.stop();
    role.start(binary);
    await role.recovers({ show: false });
  }
}

async function restore(market, traffic) {
  const { nats, gateway, operator } = market;
  const [seller, buyer] = market.databases;

  paragraph('The nightly backup, under load: the databases first, and then the log, which may be ahead of the tables.');
  await operator.runs('pg_dump', ['-Fc', '-f', 'seller.dump', seller]);
  await operator.runs('pg_dump', ['-Fc', '-f', 'buyer.dump', buyer]);
  await operator.types(['log', 'export', 'backup.jsonl']);
  await traffic.goesOn();

  paragraph('The machines are given up. The gateway is stopped and the log exported once more, so that it is complete; then '
    + 'databases and NATS are gone.');
  await gateway.stop();
  await operator.types(['log', 'export', 'complete.jsonl']);
  await market.stopProcesses();
  await nats.stop();
  nats.empty();
  await nats.start();

  paragraph('The databases are restored from the backup, and the log from the last export. Verify needs no process of the market.');
  for (const [url, file] of [[seller, 'seller.dump'], [buyer, 'buyer.dump']]) {
    const name = new URL(url).pathname.slice(1);
    await operator.runs('psql', [market.postgres, '-qc', `DROP DATABASE ${name} WITH (FORCE)`], { shown: false });
    await operator.runs('psql', [market.postgres, '-qc', `CREATE DATABASE ${name}`]);
    await operator.runs('pg_restore', ['-d', url, file]);
  }
  await operator.types(['log', 'import', 'complete.jsonl']);
  await operator.types(['verify']);

  paragraph('The processes are started. The projections replay what the older tables lack; clients go on from the positions that '
    + 'they have stored.');
  market.startProcesses();
  await market.ready();
}

async function rebuild(market, traffic) {
  const { operator } = market;
  const [seller, buyer] = market.databases;

  paragraph('Somebody corrects a price by hand, in the tables. The log knows nothing of it.');
  const wrong = `UPDATE deal SET total_price = 1 WHERE id = '${DEAL}'`;
  await operator.runs('psql', [seller, '-c', wrong]);
  await operator.runs('psql', [buyer, '-c', wrong]);
  const found = await operator.types(['verify'], { code: 1 });
  assert.match(found, /total_price is 1 in the tables/);

  paragraph('Both sides are built anew, while changes are made and pushed.');
  await operator.types(['rebuild', 'buyer']);
  await traffic.goesOn();
  await operator.types(['rebuild', 'seller']);
  await operator.types(['verify']);
}
