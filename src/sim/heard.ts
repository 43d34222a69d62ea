/** What a program hears of its own member by `events()`: in the end that is the member's state. */
import type { GroupClient, GroupEvent } from "../client/types.js";
import type { Member } from "../member/member.js";
import type { AnyDefinedValue } from "../value/types.js";

export class Heard {
  /** Of each kind. */
  readonly #newest = new Map<GroupEvent["type"], GroupEvent>();

  constructor(handle: GroupClient<AnyDefinedValue>) {
    void this.#listen(handle);
  }

  /** What was heard and is not so, or is so and was not heard; null: nothing. */
  differsFrom(member: Member): string | null {
    const { config, membership } = member.replica.core;
    const { role, term, leader } = member;
    const learners = membership.learners.map(({ id }) => id);
    const expected: readonly GroupEvent[] = [
      { type: "role", role, term, leader },
      { type: "members", voters: membership.voters, learners },
      { type: "config", config },
    ];
    for (const event of expected) {
      const [is, heard] = [event, this.#newest.get(event.type)].map((each) => JSON.stringify(each));
      if (is !== heard) return `${is} is so, and what was heard last is ${heard ?? "nothing"}`;
    }
    return null;
  }

  async #listen(handle: GroupClient<AnyDefinedValue>): Promise<void> {
    for await (const event of handle.events()) this.#newest.set(event.type, event);
  }
}
