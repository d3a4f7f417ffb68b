import { h } from "./dom";

const STEP = 0.02;
const STEPS: Record<string, number> = { ArrowLeft: -STEP, ArrowRight: STEP, ArrowDown: -STEP, ArrowUp: STEP, PageDown: -5 * STEP, PageUp: 5 * STEP };

/** A line across the map that the pointer drags and the arrow keys move. */
export class Divider {
  readonly element: HTMLElement;
  share = 0.5;

  constructor(
    private readonly box: HTMLElement,
    private readonly moved: (share: number) => void,
  ) {
    this.element = h("div", { class: "divider", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 100 }, h("span", {}, "⇔"));
    this.element.addEventListener("pointerdown", (event) => this.drag(event));
    this.element.addEventListener("keydown", (event) => this.step(event));
    this.place(this.share);
  }

  relabel(name: string, help: string): void {
    this.element.setAttribute("aria-label", name);
    this.element.title = help;
  }

  place(share: number): void {
    this.share = Math.min(1, Math.max(0, share));
    this.element.style.left = `${this.share * 100}%`;
    this.element.setAttribute("aria-valuenow", String(Math.round(this.share * 100)));
  }

  private drag(event: PointerEvent): void {
    event.preventDefault();
    this.element.focus();
    this.element.setPointerCapture(event.pointerId);
    const move = (now: PointerEvent) => {
      const box = this.box.getBoundingClientRect();
      this.moved((now.clientX - box.left) / box.width);
    };
    const end = () => this.element.removeEventListener("pointermove", move);
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("pointerup", end, { once: true });
    this.element.addEventListener("pointercancel", end, { once: true });
  }

  private step(event: KeyboardEvent): void {
    const by = STEPS[event.key];
    if (by !== undefined) this.moved(this.share + by);
    else if (event.key === "Home") this.moved(0);
    else if (event.key === "End") this.moved(1);
    else return;
    event.preventDefault();
  }
}
