/** The table of callers: found by what a command is, never by where it came to stand in the log. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  addWaiter,
  createWaiting,
  takeAll,
  takeCommand,
  takeKind,
  takeProposals,
  takeRegister,
  takeRequest,
  type Waiter,
  type Waiting,
} from "../../src/member/waiting.js";
import { counter, Lab } from "./harness.js";

const nobody = { reply: (): void => undefined };

function add(
  waiting: Waiting,
  requestId: number,
  kind: Waiter["kind"],
  session = 0,
  sequence = 0,
): void {
  const rest = { sink: nobody, request: requestId * 10, body: null, render: null, next: null };
  addWaiter(waiting, { requestId, kind, session, sequence, ...rest });
}

function chain(first: Waiter | null): number[] {
  const ids: number[] = [];
  for (let waiter = first; waiter !== null; waiter = waiter.next) ids.push(waiter.requestId);
  return ids;
}

function isEmpty(waiting: Waiting): boolean {
  const sequences = [...waiting.bySession.values()].reduce((sum, each) => sum + each.size, 0);
  return waiting.byRequest.size + sequences + waiting.byNonce.size === 0;
}

describe("the table of callers", () => {
  test("gives a command's outcome to all who wait for it, and to nobody else", () => {
    const waiting = createWaiting();
    add(waiting, 1, "command", 7, 1);
    add(waiting, 2, "command", 7, 2);
    add(waiting, 3, "command", 8, 1);
    add(waiting, 4, "command", 7, 1);
    assert.deepEqual(chain(takeCommand(waiting, 7, 1)), [4, 1]);
    assert.deepEqual(chain(takeCommand(waiting, 7, 1)), []);
    assert.deepEqual(chain(takeCommand(waiting, 7, 2)), [2]);
    assert.deepEqual(chain(takeCommand(waiting, 9, 1)), []);
    assert.deepEqual(chain(takeCommand(waiting, 8, 1)), [3]);
    assert.ok(isEmpty(waiting));
  });

  test("takes one of several callers out of the middle by its number", () => {
    const waiting = createWaiting();
    for (const id of [1, 2, 3]) add(waiting, id, "command", 7, 1);
    for (const id of [4, 5]) add(waiting, id, "register", 0, 99);
    assert.equal(takeRequest(waiting, 2)?.requestId, 2);
    assert.equal(takeRequest(waiting, 2), null);
    assert.equal(takeRequest(waiting, 4)?.requestId, 4);
    assert.deepEqual(chain(takeCommand(waiting, 7, 1)), [3, 1]);
    assert.deepEqual(chain(takeRegister(waiting, 99)), [5]);
    assert.ok(isEmpty(waiting));
  });

  test("takes proposals only, when leadership is lost", () => {
    const waiting = createWaiting();
    add(waiting, 1, "command", 7, 1);
    add(waiting, 2, "register", 0, 5);
    add(waiting, 3, "query");
    add(waiting, 4, "admin");
    add(waiting, 5, "barrier");
    const ids = (waiters: readonly Waiter[]): number[] => waiters.map((each) => each.requestId);
    assert.deepEqual(ids(takeProposals(waiting)), [1, 2]);
    assert.deepEqual(chain(takeCommand(waiting, 7, 1)), []);
    assert.deepEqual(ids(takeAll(waiting)), [3, 4, 5]);
    assert.ok(isEmpty(waiting));
  });
});

test("a registration whose member leads no more is nobody's any more", () => {
  const waiting = createWaiting();
  add(waiting, 1, "register", 0, 7);
  assert.equal(takeProposals(waiting).length, 1);
  assert.equal(takeRegister(waiting, 7), null);
});

test("sessions of which nobody waits any more are let go, and no other is lost with them", () => {
  const waiting = createWaiting();
  const sessions = Array.from({ length: 200 }, (_, at) => 1 + at);
  for (const session of sessions) {
    add(waiting, 2 * session, "command", session, 1);
    add(waiting, 2 * session + 1, "command", session, 2);
  }
  for (const session of sessions) {
    assert.deepEqual(chain(takeCommand(waiting, session, 1)), [2 * session]);
  }
  for (const session of sessions) {
    const id = 2 * session + 1;
    if (session % 2 === 0) assert.equal(takeRequest(waiting, id)?.requestId, id);
    else assert.deepEqual(chain(takeCommand(waiting, session, 2)), [id]);
  }
  assert.ok(isEmpty(waiting));
  assert.ok(waiting.bySession.size <= 64, `${waiting.bySession.size} sessions are kept`);
});

test("a registration that came twice is answered twice", () => {
  const waiting = createWaiting();
  for (const id of [1, 2]) add(waiting, id, "register", 0, 7);
  assert.deepEqual(chain(takeRegister(waiting, 7)), [2, 1]);
  assert.ok(isEmpty(waiting));
});

test("whoever was taken out is taken out once, and weighs nothing any more", () => {
  const waiting = createWaiting();
  add(waiting, 1, "piece");
  const rest = { session: 0, sequence: 0, sink: nobody, request: 20, render: null, next: null };
  addWaiter(waiting, { requestId: 2, kind: "query", body: new Uint8Array(9), ...rest });
  assert.equal(waiting.queryBytes, 9);
  assert.equal(takeRequest(waiting, 2)?.requestId, 2);
  assert.equal(waiting.queryBytes, 0);
  assert.equal(takeKind(waiting, "piece").length, 1);
  assert.deepEqual(takeAll(waiting), []);
});

test("queries that wait for a majority are refused once they fill as much as an inbox may", async () => {
  const lab = new Lab(counter);
  await lab.restore();
  lab.lead();
  for (const request of [1, 2, 3, 4]) {
    const body = new Uint8Array(300_000);
    lab.member.request(lab.sink, { type: "query", request, stale: false, body });
    lab.settle();
  }
  const told = lab.replies.map(({ request, status, applied }) => [request, status, applied]);
  assert.deepEqual(told, [[4, "overloaded", "no"]]);
});
