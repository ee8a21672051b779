/** The command that shows what scripts would have done with past events. */

/** Return text as one word of a shell. */
export const quoted = (text: string): string =>
  /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

export function replayCommand(scripts: string[], since: number, until: number): string {
  const given = scripts.length > 0 ? scripts : ["new.lua"];
  const words = ["sinogram", "lua", "replay", "sinogram.json", ...given.flatMap((script) => ["--script", script])];
  return [...words, "--since", String(since), "--until", String(Math.max(since, until))].map(quoted).join(" ");
}
