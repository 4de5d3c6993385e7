/** The text and HTML of a mail, from the same words. */
export interface Letter {
  subject: string;
  text: string;
  html: string;
}

/**
 * Writes a letter of paragraphs; one of them may be a link, which stands on a line of its own.
 * Whatever a user has typed is escaped in HTML.
 */
export function letter(
  subject: string,
  firstName: string,
  paragraphs: (string | { link: string; label: string })[],
): Letter {
  const greeting = `Hello ${firstName},`;
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
