/** The command line over TLS: members, every verb that asks them, and what is said when something is missing. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counter } from "../../src/cli/values.js";
import { makeAuthority } from "../tools/certificates.js";
import { type CliResult, runCli, TestGroup } from "./processes.js";

const authority = makeAuthority();
const foo = authority.issue("foo.test");
const dir = mkdtempSync(join(tmpdir(), "rafted-tls-"));
const file = (name: string, pem: string): string => {
  writeFileSync(join(dir, name), pem);
  return join(dir, name);
};
const ca = ["--tls-ca", file("ca.pem", authority.cert)];
const cert = ["--tls-cert", file("foo.pem", foo.cert)];
const key = ["--tls-key", file("foo.key", foo.key)];
const mutual = [...ca, ...cert, ...key];

after(() => rmSync(dir, { recursive: true, force: true }));

describe("a group whose members speak TLS", () => {
  const group = new TestGroup("tally", "counter", counter, mutual, { ...foo, ca: authority.cert });
  const run = (...args: readonly string[]): Promise<CliResult> =>
    runCli([...args, "--group", "tally", "--hosts", group.addresses.join(",")]);

  before(() => group.startAll("foo", "bar", "baz"));
  after(() => group.end());

  async function printed(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args, ...mutual);
    assert.equal(code, 0, stderr);
    return stdout.trimEnd();
  }

  test("is spoken to by the verbs with a certificate", async () => {
    assert.equal(await printed("command", "inc", "5"), "5");
    assert.equal(await printed("query", "get"), "5");
    assert.match(await printed("members"), /^foo#.*\n^bar#.*\n^baz#/ms);
    assert.match(await printed("status"), /^valueName +counter$/m);
    assert.match(await printed("snapshot"), /index/);
    const backup = join(dir, "tally.backup");
    assert.match(await printed("backup", "--out", backup), /value counter version 1/);
  });

  test("takes another name of the certificate for theirs", async () => {
    assert.equal(await printed("query", "get", "--tls-server-name", "foo.test"), "5");
    const wrong = ["--tls-server-name", "bar.test", "--timeout-ms", "500"];
    const { code, stderr } = await run("query", "get", ...mutual, ...wrong);
    assert.equal(code, 1);
    assert.match(stderr, /bar\.test|certificate/);
  });

  test("refuses who shows no certificate, and says so", async () => {
    const { code, stderr } = await run("status", ...ca, "--timeout-ms", "500");
    assert.equal(code, 1);
    assert.match(stderr, /certificate/);
  });

  test("is no plain port", async () => {
    const { code, stderr } = await run("status", "--timeout-ms", "500");
    assert.equal(code, 1);
    assert.match(stderr, /one that speaks TLS/);
  });
});

describe("what is missing is named", () => {
  const status = (...args: readonly string[]): Promise<CliResult> =>
    runCli(["status", "--group", "tally", "--hosts", "127.0.0.1:1", ...args]);

  test("a key without its certificate", async () => {
    const { code, stderr } = await status(...key);
    assert.equal(code, 2);
    assert.match(stderr, /--tls-cert and --tls-key go together/);
  });

  test("a file that is not there", async () => {
    const { code, stderr } = await status("--tls-ca", join(dir, "nothing.pem"));
    assert.equal(code, 2);
    assert.match(stderr, /--tls-ca .*nothing\.pem cannot be read: .*no such file/);
  });

  test("a file that is no certificate", async () => {
    const { code, stderr } = await status("--tls-cert", file("bad.pem", "nonsense"), ...key);
    assert.equal(code, 1);
    assert.match(stderr, /tls: key, cert or ca does not load/);
  });
});
