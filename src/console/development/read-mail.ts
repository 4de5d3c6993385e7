/** A captured mail, as far as ours go: headers, and a text and an HTML part. */
export interface Mail {
  subject: string;
  to: string;
  /** ISO 8601, where it has a date. */
  at: string | undefined;
  text: string;
  html: string;
}

/** Reads RFC 5322 with MIME (RFC 2045 to 2047) as our own sender writes it. */
export function readMail(source: string): Mail {
  const { headers, body } = split(source);
  const date = Date.parse(headers.get("date") ?? "");
  const mail: Mail = {
    subject: words(headers.get("subject") ?? "No subject"),
    to: words(headers.get("to") ?? ""),
    at: Number.isNaN(date) ? undefined : new Date(date).toISOString(),
    text: "",
    html: "",
  };
  const boundary = /boundary="?([^";]+)"?/i.exec(headers.get("content-type") ?? "")?.[1];
  const parts =
    boundary === undefined
      ? [{ headers, body }]
      : body
          .split(`--${boundary}`)
          .slice(1, -1)
          .map((part) => split(part.replace(/^\r?\n/, "")));
  for (const part of parts) {
    const isHtml = /text\/html/i.test(part.headers.get("content-type") ?? "");
    const decoded = decode(part.body, part.headers.get("content-transfer-encoding") ?? "");
    if (isHtml) mail.html = decoded;
    else mail.text = decoded;
  }
  return mail;
}

function split(source: string): { headers: Map<string, string>; body: string } {
  const [head = "", ...rest] = source.split(/\r?\n\r?\n/);
  const lines = head.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
  const headers = new Map(
    lines.map((line) => {
      const cut = line.indexOf(":");
      return [line.slice(0, cut).toLowerCase(), line.slice(cut + 1).trim()];
    }),
  );
  return { headers, body: rest.join("\r\n\r\n") };
}

function decode(body: string, encoding: string): string {
  if (/base64/i.test(encoding)) return utf8(atob(body.replace(/\s/g, "")));
  if (/quoted-printable/i.test(encoding)) return utf8(unquote(body.replace(/=\r?\n/g, "")));
  return body;
}

/** =?UTF-8?Q?…?= and =?UTF-8?B?…?= */
function words(header: string): string {
  return header
    .replace(/\?=\s+=\?/g, "?==?")
    .replace(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_all, kind: string, text: string) =>
      utf8(kind.toLowerCase() === "b" ? atob(text) : unquote(text.replaceAll("_", " "))),
    );
}

const unquote = (text: string): string =>
  text.replace(/=([0-9A-F]{2})/gi, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );

function utf8(bytes: string): string {
  return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
