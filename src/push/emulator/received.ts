import type { Message } from "./platforms.ts";
import { parseSendRequest } from "./validate.ts";

/** What a phone received: one accepted message. */
export interface ReceivedMessage {
  /** `projects/{project}/messages/{id}`, as in the answer to the sender. */
  name: string;
  receivedAt: string;
  /** The HTTP v1 message as it was sent, its names with underscores. */
  message: Message;
}

/** A message as it is kept: text, of which a hundred thousand are no burden. */
export interface KeptMessage {
  name: string;
  /** Milliseconds since 1970. */
  at: number;
  /** The request. */
  body: string;
}

export function readMessage({ name, at, body }: KeptMessage): ReceivedMessage {
  const { message } = parseSendRequest(body);
  return { name, receivedAt: new Date(at).toISOString(), message };
}
