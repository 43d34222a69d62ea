/** Which segment holds which entries of a group: a segment that nobody is said to need is removed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createGroupState, moveEntries } from "../../src/storage/file/group-state.js";
import { identityOf } from "./support.js";

for (const [first, last, expected] of [
  [1, 4, ["2: 1-4", "1: 5-12", "3: 13-20"]],
  [5, 8, ["1: 1-4", "2: 5-8", "1: 9-12", "3: 13-20"]],
  [9, 12, ["1: 1-8", "2: 9-12", "3: 13-20"]],
] as const) {
  test(`entries ${first} to ${last} are moved, and the others are still needed where they were`, () => {
    const group = createGroupState(1, identityOf("queue"));
    group.lastIndex = 20;
    group.places = [
      { segment: 1, first: 1, last: 12, bytes: 1200 },
      { segment: 3, first: 13, last: 20, bytes: 800 },
    ];
    moveEntries(group, 1, { segment: 2, first, last, bytes: 400 });
    const places = group.places.map((place) => `${place.segment}: ${place.first}-${place.last}`);
    assert.deepEqual(places, expected);
  });
}
