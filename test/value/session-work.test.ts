/** What keeping the books of sessions may cost: a command's share does not grow with what was kept before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { succeeded } from "../../src/value/outcomes.js";
import {
  createSessions,
  keepCommandId,
  keepReply,
  registerSession,
} from "../../src/value/sessions.js";
import { defaultGroupConfig } from "../../src/core/config.js";

const outcome = succeeded(new Uint8Array(1));

test("ids that leave are found without a walk past the places of those that left before", () => {
  const limit = 100;
  const sessions = createSessions({ ...defaultGroupConfig, maxRetainedCommandIds: limit });
  const { commandIds } = sessions;
  let iterators = 0;
  const counted = <T>(make: () => T) => {
    return () => {
      iterators += 1;
      return make.call(commandIds);
    };
  };
  commandIds.keys = counted(() => Map.prototype.keys.call(commandIds) as MapIterator<string>);
  commandIds.entries = counted(() => new Map(commandIds).entries());
  for (let i = 0; i < 10 * limit; i++) keepCommandId(sessions, `order-${i}`, outcome);
  assert.deepEqual([...Map.prototype.keys.call(commandIds)].slice(0, 2), [
    "order-900",
    "order-901",
  ]);
  assert.equal(commandIds.size, limit);
  assert.equal(iterators, 1);
});

test("a client that never says what arrived costs no walk over all marks with every command", () => {
  const sessions = createSessions({ ...defaultGroupConfig, maxReplyBytesPerSession: 1024 });
  registerSession(sessions, 1);
  const session = sessions.byId.get(1)!;
  let sequence = 0;
  const keepOn = (until: () => boolean): void => {
    while (!until()) keepReply(sessions, session, ++sequence, outcome);
  };
  keepOn(() => session.floor > 0);
  let walks = 0;
  session.dropped![Symbol.iterator] = () => {
    walks += 1;
    return Set.prototype[Symbol.iterator].call(session.dropped) as SetIterator<number>;
  };
  const { size } = session.dropped!;
  const { floor, keptBytes } = session;
  const { totalBytes } = sessions;
  const last = sequence + 100;
  keepOn(() => sequence === last);
  assert.equal(walks, 0);
  assert.deepEqual([session.floor, session.dropped!.size], [floor + 100, size]);
  assert.deepEqual([session.keptBytes, sessions.totalBytes], [keptBytes, totalBytes]);
});
