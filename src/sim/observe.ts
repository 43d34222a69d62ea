/** A definition whose every applied command is reported: how the simulator looks into a value. */
import type { AnyDefinedValue, AppliedInfo } from "../value/types.js";

export type AppliedCall = {
  readonly name: string;
  readonly arg: unknown;
  readonly applied: AppliedInfo;
  /** What the handler replied; undefined if it threw. */
  readonly reply: unknown;
  readonly threw: boolean;
};

type Handler = (value: unknown, arg: unknown, applied: AppliedInfo) => unknown;

/** The same value to everybody else; `report` is called right after each command. */
export function observeValue(
  definition: AnyDefinedValue,
  report: (call: AppliedCall) => void,
): AnyDefinedValue {
  const commands: Record<string, Handler> = {};
  for (const [name, handler] of Object.entries(definition.commands as Record<string, Handler>)) {
    const observed: Handler = (value, arg, applied) => {
      let result: unknown;
      try {
        result = handler(value, arg, applied);
      } catch (cause) {
        report({ name, arg, applied, reply: undefined, threw: true });
        throw cause;
      }
      const reply = definition.mutable ? result : (result as { reply: unknown } | undefined)?.reply;
      report({ name, arg, applied, reply, threw: false });
      return result;
    };
    // How many arguments a handler declares tells a call's argument from its options.
    commands[name] = Object.defineProperty(observed, "length", { value: handler.length });
  }
  return Object.freeze({ ...definition, commands: Object.freeze(commands) });
}
