import type pg from "pg";
import type { Config } from "../src/config.ts";

/** It was refused, or it failed: one line for the person at the keyboard, exit 1. */
export class CommandError extends Error {
  override name = "CommandError";
}

/** It was asked for in a way that the command does not have: exit 2. */
export class UsageError extends CommandError {
  override name = "UsageError";
}

export interface CommandOption {
  /** What stands for its value in the help; without one it is a switch. */
  value?: string;
  help: string;
  /** May be given several times. */
  isRepeated?: boolean;
}

export interface Answer {
  /** For --json. */
  json: unknown;
  /** For people: a sentence, or rows of a table, or several of these. */
  text: (string | readonly object[])[];
  /** For people, on stderr: what they should look at. */
  warning?: string;
}

export interface CommandContext {
  database: pg.Client;
  config: Config;
  args: string[];
  options: Readonly<Record<string, string | boolean | string[] | undefined>>;
  /** Tells a person at a terminal how far it is. */
  progress(text: string): void;
}

export interface Command {
  /** Without the name. */
  usage: string;
  summary: string;
  /** What a newcomer wants to know besides. */
  details?: string;
  examples?: string[];
  options?: Readonly<Record<string, CommandOption>>;
  /** Arguments at most. */
  args: number;
  run(context: CommandContext): Promise<Answer>;
}

const ID = /^[1-9]\d{0,8}$/;

/** @param what names it in the error, such as "notification" */
export function idOf(text: unknown, what: string): number {
  if (typeof text !== "string" || !ID.test(text)) {
    throw new UsageError(`Which ${what}? Give its id.`);
  }
  return Number(text);
}

/** The id of a living user, by id, e-mail address or phone number. */
export async function userOf(database: pg.Client, text: unknown): Promise<number> {
  if (typeof text !== "string")
    throw new UsageError("Which user? Give an e-mail address, a phone number (+49…) or an id.");
  const isId = ID.test(text);
  const { rows } = await database.query<{ id: number | null }>(
    isId
      ? "select id from app_public.users where id = $1 and deleted_at is null"
      : "select app_private.user_by_identifier($1) as id",
    [text],
  );
  const id = rows[0]?.id ?? null;
  if (id === null) throw new CommandError(`There is no user ${text}.`);
  return id;
}

/** The same where an id may be that of a user who is gone, or is judged by what it is for. */
export async function userIdOf(database: pg.Client, text: unknown): Promise<number> {
  return typeof text === "string" && ID.test(text) ? Number(text) : userOf(database, text);
}

/** A time for people: UTC, to the second. */
export function at(time: Date | string): string {
  const text = new Date(time).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}
