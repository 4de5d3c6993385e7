import type { SendNotificationInput } from "../graphql/generated.ts";

/** What is being written, as it stands in the fields. */
export interface Draft {
  to: "users" | "audience";
  users: string;
  audience: string;
  event: string;
  title: string;
  message: string;
  data: string;
  when: "now" | "at" | "local";
  /** As <input type="datetime-local"> has it. */
  at: string;
  priority: "HIGH" | "NORMAL";
  isSilent: boolean;
  hasBadge: boolean;
}

export const EMPTY: Draft = {
  to: "users",
  users: "",
  audience: "",
  event: "",
  title: "",
  message: "",
  data: "",
  when: "now",
  at: "",
  priority: "HIGH",
  isSilent: false,
  hasBadge: false,
};

/** By the field of the API that it concerns. */
export class Unreadable extends Error {
  override name = "Unreadable";
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** What the API is to be asked; it checks all the rest. @throws {Unreadable} */
export function toInput(draft: Draft, dryRun: boolean): SendNotificationInput {
  const { to, when, at, isSilent } = draft;
  if (when !== "now" && at === "") throw new Unreadable("sendAt", "Choose a day and a time.");
  return {
    ...(to === "users" ? { users: userIds(draft.users) } : { audience: draft.audience }),
    event: draft.event.trim(),
    message: isSilent ? null : draft.message,
    title: isSilent || draft.title === "" ? null : draft.title,
    data: data(draft.data),
    sendAt: when === "at" ? new Date(at).toISOString() : null,
    sendAtLocal: when === "local" ? (at.length === 16 ? `${at}:00` : at) : null,
    priority: draft.priority,
    silent: isSilent,
    badge: draft.hasBadge,
    dryRun,
  };
}

function userIds(text: string): number[] {
  const words = text.split(/[\s,;]+/).filter(Boolean);
  if (words.length === 0) throw new Unreadable("users", "Name at least one user, by number.");
  const wrong = words.find((word) => !/^[1-9]\d{0,9}$/.test(word));
  if (wrong) throw new Unreadable("users", `“${wrong}” is no number of a user.`);
  return words.map(Number);
}

function data(text: string): Record<string, string> | null {
  if (text.trim() === "") return null;
  const pairs = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const cut = line.indexOf("=");
      if (cut < 1) throw new Unreadable("data", `“${line}” is not written as key=value.`);
      return [line.slice(0, cut).trim(), line.slice(cut + 1).trim()];
    });
  return Object.fromEntries(pairs);
}
