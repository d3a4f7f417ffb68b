import { h } from "./dom";
import { language } from "./i18n";
import chinese from "./messages.json";

/** One that begins with a space or a stop stands behind another text. */
const isEnd = (english: string): boolean => /^[ ,;]/.test(english);
/** Templates: ends first, the longest first. */
const FORMS = Object.entries({ ...chinese.messages, ...chinese.words, ...chinese.cards })
  .toSorted(([one], [other]) => Number(isEnd(other)) - Number(isEnd(one)) || other.length - one.length)
  .map(([english, text]) => {
    const literal = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\d\}/g, "(.*?)");
    return { pattern: new RegExp(`^${isEnd(english) ? "(?<head>.+)" : ""}${literal}$`), text, open: english.startsWith("{") };
  });
const known = new Map<string, string | null>();

/** By a template; a value at the beginning is one name, not "NAME: ". */
function filled(text: string): string | null {
  for (const form of FORMS) {
    const found = form.pattern.exec(text);
    if (found === null || (form.open && /:( |$)/.test(found[1] ?? ""))) continue;
    const { head } = found.groups ?? {};
    const values = found.slice(head === undefined ? 1 : 2).map((value) => chineseOf(value) ?? value);
    const end = form.text.replace(/\{(\d)\}/g, (_, place: string) => values[Number(place)] ?? "");
    return head === undefined ? end : `${chineseOf(head) ?? head}${end}`;
  }
  return null;
}

/** The parts before and behind each place of a separator. */
const cuts = (text: string, gap: string): [string, string][] =>
  [...text.matchAll(RegExp(gap, "g"))].map(({ index }) => [text.slice(0, index), text.slice(index + gap.length)]);

function found(text: string): string | null {
  for (const [one, other] of cuts(text, "; ")) {
    const parts = [chineseOf(one), chineseOf(other)];
    if (!parts.includes(null)) return parts.join("；");
  }
  const whole = filled(text);
  if (whole !== null) return whole;
  for (const [name, rest] of cuts(text, ": ")) {
    const reason = chineseOf(rest);
    if (reason !== null) return `${name}：${reason}`;
  }
  const [name, ...rest] = text.split(" ");
  const reason = rest.length > 1 ? filled(rest.join(" ")) : null;
  return reason === null ? null : `${name} ${reason}`;
}

/** A text of the server in Chinese, null where it is unknown: a message, several with "; " between them, or one behind a name. */
function chineseOf(text: string): string | null {
  let answer = known.get(text);
  if (answer === undefined) known.set(text, (answer = found(text)));
  return answer;
}

/** A text of the server in the chosen language, as it is where it is unknown. */
export const told = (text: string): string => (language() === "zh" ? (chineseOf(text) ?? text) : text);

/** The same for the page: what stays in English is marked as such. */
export function spoken(text: string): HTMLElement {
  if (language() === "en" || chineseOf(text) !== null) return h("span", {}, told(text));
  const parts = text.split("; ");
  if (parts.every((part) => chineseOf(part) === null)) return h("span", { lang: "en" }, text);
  return h("span", {}, ...parts.flatMap((part, index) => [index > 0 ? "；" : "", spoken(part)]));
}
