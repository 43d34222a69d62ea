/**
 * Who bears a group's name. A member may be followed by another of its name while storage still works
 * for the first, and must not hear the answers to what that one asked.
 */
import type { GroupName } from "../ports.js";

export class GroupLives {
  readonly #lives = new Map<GroupName, object>();

  /** The name passes to somebody else. */
  renew(group: GroupName): void {
    this.#lives.set(group, {});
  }

  /** Nobody bears the name any more: of names that are used once nothing is kept. */
  end(group: GroupName): void {
    this.#lives.delete(group);
  }

  /** Tells, later, whether whoever bears the name now still does. */
  watch(group: GroupName): () => boolean {
    // One that came back from before was never begun here.
    if (!this.#lives.has(group)) this.renew(group);
    const life = this.#lives.get(group);
    return () => this.#lives.get(group) === life;
  }
}
