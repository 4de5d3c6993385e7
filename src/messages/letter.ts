/** The text and HTML of a mail, from the same words. */
export interface Letter {
  subject: string;
  text: string;
  html: string;
}

/**
 * Writes a letter of paragraphs; one of them may be a link, which stands on a line of its own.
 * Whatever a user has typed is escaped in HTML.
 * @param firstName of who reads it; undefined where that may be somebody else.
 */
export function letter(
  subject: string,
  firstName: string | undefined,
  paragraphs: (string | { link: string; label: string })[],
): Letter {
  const name = firstName && harmlessName(firstName);
  const greeting = name ? `Hello ${name},` : "Hello,";
  const text = [greeting, ...paragraphs.map((p) => (typeof p === "string" ? p : p.link))];
  const html = [greeting, ...paragraphs].map((p) =>
    typeof p === "string"
      ? `<p>${escapeHtml(p)}</p>`
      : `<p><a href="${escapeHtml(p.link)}">${escapeHtml(p.label)}</a></p>`,
  );
  return {
    subject,
    text: `${text.join("\n\n")}\n`,
    html: `<!doctype html><html lang="en"><body>${html.join("")}</body></html>`,
  };
}

/**
 * The name, or undefined for one that a mail program would make a link of: anybody may sign up by any
 * name, and with anybody's address.
 */
export function harmlessName(firstName: string): string | undefined {
  return /\S\.\S|@|:\/\//.test(firstName) ? undefined : firstName;
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
