/** `connect` and `connectAdmin`: what they refuse, and that they work over TCP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, connectAdmin, type ConnectOptions, RaftError } from "../../src/client/index.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import type { AnyDefinedValue } from "../../src/value/types.js";
import { FakeGroup, FakeHost } from "./fake-server.js";
import { list } from "./world.js";

const good: ConnectOptions = { group: "numbers", hosts: ["127.0.0.1:7101"] };

function refuses(change: Record<string, unknown>, message: RegExp, code = "invalidArgument"): void {
  const options = { ...good, ...change } as unknown as ConnectOptions;
  for (const open of [() => connect(list, options), () => connectAdmin(options)]) {
    assert.throws(open, (error) => {
      assert.ok(error instanceof RaftError);
      assert.deepEqual([error.code, error.applied], [code, "no"]);
      assert.match(error.message, message);
      return true;
    });
  }
}

describe("connect", () => {
  test("refuses by name what cannot work", () => {
    refuses({ group: "" }, /^group must be/);
    refuses({ group: 1 }, /^group must be/);
    refuses({ group: "a b" }, /^group must be the group's name \(1 to 64 letters.*, got "a b"/);
    refuses({ group: "g".repeat(65) }, /^group must be/);
    refuses({ hosts: [] }, /^hosts must be an array of 1 to 64 addresses/);
    refuses({ hosts: "127.0.0.1:1" }, /^hosts must be an array/);
    refuses({ hosts: ["127.0.0.1:1", 2] }, /^hosts\[1\] must be an address/);
    refuses({ hosts: ["localhost"] }, /^hosts\[0\].*"localhost".*host:port/);
    refuses({ hosts: ["localhost:0"] }, /^hosts\[0\].*port 0/);
    refuses({ timeoutMs: 0 }, /^timeoutMs must be/);
    refuses({ timeoutMs: Infinity }, /^timeoutMs must be/);
    refuses({ maxOutstanding: 0 }, /^maxOutstanding must be/);
    refuses({ maxOutstandingBytes: 1.5 }, /^maxOutstandingBytes must be/);
    refuses({ tls: { key: "no key" } }, /^tls: key and cert go together/);
    refuses({ tls: true }, /^tls must be an object such as { key, cert, ca }, got true/);
    refuses({ tls: { caa: "x" } }, /^tls\.caa is no option; there are key, cert, ca, /);
    refuses({ tls: {}, transport: createTcpTransport() }, /^tls is for the default transport/);
    refuses({ timeout: 5 }, /^timeout is no option; there are group, hosts, /);
    refuses({ logger: {} }, /^logger must be an object with a method "debug"/);
    refuses({ transport: {} }, /^transport must be an object with a method "dial"/);
    refuses({ clock: { nowMs: () => 0 } }, /^clock must be an object with a method "wallMs"/);
    refuses({ random: 5 }, /^random must be an object with a method "next", got 5/);
  });

  test("refuses a definition that defineValue did not make", () => {
    const open = (): unknown => connect({ name: "x" } as unknown as AnyDefinedValue, good);
    assert.throws(open, /definition must come from defineValue/);
  });

  test("refuses a host that is no address where an administrative call names one", async () => {
    const admin = connectAdmin(good);
    await assert.rejects(admin.status({ host: "nowhere" }), {
      code: "invalidArgument",
      message: /^host.*"nowhere".*host:port/,
    });
    await admin.close();
  });

  test("dials nothing before the first call, so an unused client keeps nothing alive", async () => {
    const client = connect(list, good);
    await client.close();
    await client.closed;
  });

  test("calls, follows the leader and closes over TCP", async () => {
    const transport = createTcpTransport();
    const group = new FakeGroup();
    for (const id of ["a", "b"]) await new FakeHost(group, id, transport, "127.0.0.1:0").start();
    group.elect(1);
    const hosts = [group.hosts[0]!.address];
    const client = connect(list, { group: "numbers", hosts });
    const lengths = await Promise.all([1, 2, 3].map((item) => client.command("push", item)));
    assert.deepEqual(lengths, [1, 2, 3]);
    assert.equal(await client.query("length"), 3);
    const admin = connectAdmin({ group: "numbers", hosts });
    assert.deepEqual(
      (await admin.members()).map(({ id }) => id),
      ["a#1", "b#1"],
    );
    await group.hosts[1]!.stop();
    group.elect(0);
    assert.equal(await client.command("push", 4), 4);
    await Promise.all([client.close(), admin.close()]);
    await group.hosts[0]!.stop();
  });

  test("names the port that nobody listens on", async () => {
    const transport = createTcpTransport();
    const listener = await transport.listen("127.0.0.1:0", () => {
      throw new Error("nobody is expected");
    });
    await listener.close();
    const client = connect(list, { group: "numbers", hosts: [listener.address] });
    await assert.rejects(client.query("length", { timeoutMs: 200 }), (error) => {
      assert.ok(error instanceof RaftError);
      assert.equal(error.code, "timeout");
      assert.ok(error.message.includes(`${listener.address}`), error.message);
      assert.match(error.message, /nobody listens there/);
      return true;
    });
    await client.close();
  });
});
