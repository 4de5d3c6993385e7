import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { goAway, reset, sendHtml, sendJson, sendStatus } from "./answers.ts";
import type { Emulated } from "./emulator.ts";
import { type Fault, faultOfName } from "./faults.ts";
import { credentialsMissing, invalidArgument, REFUSALS } from "./refusals.ts";
import { InvalidArgument, type SendRequest, validateSendRequest } from "./validate.ts";

/** `POST /v1/projects/{project}/messages:send`. */
export function handleSend(
  emulated: Emulated,
  project: string,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): void {
  const { sends, faults, phones } = emulated;
  if (!/^Bearer ./i.test(request.headers.authorization ?? "")) {
    sends.count("UNAUTHENTICATED");
    sendStatus(response, credentialsMissing());
    return;
  }
  let send: SendRequest;
  try {
    send = validateSendRequest(body);
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    sends.count("INVALID_REQUEST");
    sendStatus(response, invalidArgument(error));
    return;
  }
  const { name: target } = send.target;
  const fault: Fault | undefined =
    faults.take(send, project) ??
    (phones.isUninstalled(target) ? { respond: "UNREGISTERED" } : faultOfName(target));
  if (!fault) {
    accept(emulated, project, send, response, body);
    return;
  }
  const act = () => actFault(emulated, fault, project, send, response, body);
  if (!fault.delay) {
    act();
    return;
  }
  const timer = setTimeout(act, fault.delay);
  // Who has hung up gets nothing done.
  response.on("close", () => clearTimeout(timer));
}

/** Hands the message to the phones, and answers with its name. */
function accept(
  emulated: Emulated,
  project: string,
  { message, target, validateOnly }: SendRequest,
  response: ServerResponse | undefined,
  body: string,
): void {
  const { sends, arrivals, phones, topics, clock } = emulated;
  sends.count(validateOnly ? "VALIDATED" : "ACCEPTED");
  const name = `projects/${project}/messages/${validateOnly ? "fake_message_id" : randomUUID()}`;
  if (!validateOnly) {
    const kept = { name, at: clock.now(), body };
    const tokens =
      target.kind === "topic"
        ? topics.followers(target.name)
        : target.kind === "condition"
          ? topics.meeting(target.name)
          : [(message.token ?? message.fid) as string];
    for (const token of tokens) arrivals.count(phones.receive(token, kept));
  }
  if (response) sendJson(response, 200, { name });
}

function actFault(
  emulated: Emulated,
  { respond, retryAfter }: Fault,
  project: string,
  send: SendRequest,
  response: ServerResponse,
  body: string,
): void {
  if (respond === "ACCEPT") {
    accept(emulated, project, send, response, body);
    return;
  }
  emulated.sends.count(respond);
  emulated.events.publish("refused", send.target.name, () => ({
    token: send.target.name,
    project,
    respond,
  }));
  if (respond === "HANG") return;
  if (respond === "RESET_AFTER") accept(emulated, project, send, undefined, body);
  if (respond === "RESET" || respond === "RESET_AFTER") reset(response);
  else if (respond === "GOAWAY") goAway(response);
  else if (respond === "HTML") sendHtml(response, retryAfter);
  else sendStatus(response, REFUSALS[respond]({ project, target: send.target }), retryAfter);
}
