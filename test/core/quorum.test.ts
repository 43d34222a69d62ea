/** Majorities against a plain count over all subsets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  allMembers,
  allVoters,
  isMember,
  isQuorum,
  isVoter,
  majoritySize,
  quorumValue,
} from "../../src/core/quorum.js";
import type { Membership } from "../../src/core/types.js";

const names = ["a", "b", "c", "d", "e", "f", "g"];

function membershipOf(voters: readonly string[], outgoing: readonly string[]): Membership {
  return { voters, outgoing, learners: [], members: [] };
}

const membershipArbitrary = fc
  .tuple(fc.subarray(names, { minLength: 1 }), fc.subarray(names))
  .map(([voters, outgoing]) => membershipOf(voters, outgoing));

/** More than half of each half that there is. */
function countsAsQuorum({ voters, outgoing }: Membership, agreeing: ReadonlySet<string>): boolean {
  return [voters, outgoing].every((half) => {
    const count = half.filter((id) => agreeing.has(id)).length;
    return half.length === 0 || 2 * count > half.length;
  });
}

describe("quorums", () => {
  test("are majorities, of both halves while the configuration is joint (thesis 4.3)", () => {
    fc.assert(
      fc.property(membershipArbitrary, fc.subarray(names), (membership, agreeing) => {
        const set = new Set(agreeing);
        assert.equal(
          isQuorum(membership, (id) => set.has(id)),
          countsAsQuorum(membership, set),
        );
      }),
    );
  });

  test("of one configuration, and of a joint one and either of its halves, always meet", () => {
    const arbitrary = fc.tuple(membershipArbitrary, fc.subarray(names), fc.subarray(names));
    fc.assert(
      fc.property(arbitrary, ([membership, one, other]) => {
        const { voters, outgoing } = membership;
        for (const half of [membership, membershipOf(voters, []), membershipOf(outgoing, [])]) {
          const left = isQuorum(membership, (id) => one.includes(id));
          const right = isQuorum(half, (id) => other.includes(id));
          if (left && right) assert.ok(one.some((id) => other.includes(id)));
        }
      }),
    );
  });

  test("reach the greatest value that a quorum has reached", () => {
    const values = fc.array(fc.nat(5), { minLength: names.length, maxLength: names.length });
    fc.assert(
      fc.property(membershipArbitrary, values, (membership, reached) => {
        const valueOf = (id: string): number => reached[names.indexOf(id)]!;
        const value = quorumValue(membership, valueOf);
        assert.ok(isQuorum(membership, (id) => valueOf(id) >= value));
        assert.ok(!isQuorum(membership, (id) => valueOf(id) > value));
      }),
    );
  });

  test("nobody decides for a group without voters", () => {
    const nobody = membershipOf([], []);
    assert.equal(
      isQuorum(nobody, () => true),
      false,
    );
    assert.equal(
      quorumValue(nobody, () => 7),
      0,
    );
  });

  test("are of the sizes that tolerate 0, 0, 1, 1, 2, 2 and 3 failures", () => {
    const sizes = [1, 2, 3, 4, 5, 6, 7].map((count) => majoritySize(names.slice(0, count)));
    assert.deepEqual(sizes, [1, 2, 2, 3, 3, 4, 4]);
  });

  test("name each voter once, and learners beside them", () => {
    fc.assert(
      fc.property(membershipArbitrary, (membership) => {
        const learners = [{ id: "z", promote: true, replaces: null }];
        const all = { ...membership, learners };
        const voters = allVoters(all);
        assert.equal(new Set(voters).size, voters.length);
        for (const id of names) assert.equal(voters.includes(id), isVoter(all, id));
        assert.deepEqual(allMembers(all), [...voters, "z"]);
        assert.ok(isMember(all, "z") && !isVoter(all, "z"));
      }),
    );
  });
});
