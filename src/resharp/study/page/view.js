// Two pictures of one size, seen through two panes that always show the same part.

const MOST = 8; // CSS pixels for one picture pixel, at the closest
const SQUARES_FROM = 4; // and from here on picture pixels are shown as squares

export class View {
  constructor(panes, container, onZoom) {
    this.panes = panes;
    this.container = container;
    this.onZoom = onZoom;
    this.width = this.height = 1;
    this.pointers = new Map();
    this.reset();
    for (const pane of panes) this.listen(pane);
    new ResizeObserver(() => this.arrange()).observe(container);
  }

  // Zoom 1 fits the pane; x, y is the point of the picture, in fractions of it, at the middle of the pane.
  reset() {
    this.zoom = 1;
    this.x = this.y = 0.5;
  }

  show(width, height) {
    [this.width, this.height] = [width, height];
    this.reset();
    this.arrange();
  }

  get zoomed() {
    return this.zoom > 1.001;
  }

  // Side by side or one above the other, whichever shows the pictures larger.
  arrange() {
    const { clientWidth: across, clientHeight: down } = this.container;
    const beside = Math.min(across / 2 / this.width, down / this.height);
    const above = Math.min(across / this.width, down / 2 / this.height);
    this.container.classList.toggle("stacked", above > beside);
    this.draw();
  }

  get box() {
    return { across: this.panes[0].clientWidth, down: this.panes[0].clientHeight };
  }

  get fit() {
    const { across, down } = this.box;
    return Math.min(across / this.width, down / this.height) || 1;
  }

  get most() {
    return Math.max(2, MOST / this.fit);
  }

  draw(glide = false) {
    const { across, down } = this.box;
    this.zoom = Math.min(Math.max(this.zoom, 1), this.most);
    const scale = this.fit * this.zoom;
    // No empty space inside the pane while the picture is larger than it.
    const halfX = Math.min(0.5, across / 2 / (scale * this.width));
    const halfY = Math.min(0.5, down / 2 / (scale * this.height));
    this.x = Math.min(Math.max(this.x, halfX), 1 - halfX);
    this.y = Math.min(Math.max(this.y, halfY), 1 - halfY);
    const left = across / 2 - this.x * this.width * scale;
    const top = down / 2 - this.y * this.height * scale;
    this.container.classList.toggle("gliding", glide);
    for (const pane of this.panes) {
      pane.classList.toggle("zoomed", this.zoomed);
      pane.classList.toggle("pixels", scale >= SQUARES_FROM);
      for (const image of pane.querySelectorAll("img")) {
        image.style.width = `${this.width}px`;
        image.style.height = `${this.height}px`;
        image.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
      }
    }
    this.onZoom(this.zoomed);
  }

  // Change the zoom and keep the picture's point at (px, py) of the pane where it is.
  zoomAt(zoom, px, py, glide = false) {
    const { across, down } = this.box;
    const limited = Math.min(Math.max(zoom, 1), this.most);
    const before = this.fit * this.zoom;
    const after = this.fit * limited;
    this.x += ((px - across / 2) * (1 / before - 1 / after)) / this.width;
    this.y += ((py - down / 2) * (1 / before - 1 / after)) / this.height;
    this.zoom = limited;
    this.draw(glide);
  }

  // Between the whole picture and its real pixels, or twice the size where those are no larger.
  toggle(px = this.box.across / 2, py = this.box.down / 2) {
    const real = 1 / window.devicePixelRatio / this.fit;
    this.zoomAt(this.zoomed ? 1 : real > 1.2 ? real : 2, px, py, true);
  }

  pan(dx, dy) {
    const scale = this.fit * this.zoom;
    this.x -= dx / (scale * this.width);
    this.y -= dy / (scale * this.height);
    this.draw();
  }

  listen(pane) {
    const at = (event) => {
      const { left, top } = pane.getBoundingClientRect();
      return { x: event.clientX - left, y: event.clientY - top };
    };
    pane.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = at(event);
      const lines = event.deltaMode === 1 ? 30 : 1;
      this.zoomAt(this.zoom * Math.exp((-event.deltaY * lines) / 400), x, y);
    }, { passive: false });
    // Or the browser takes a fast drag for a fling, which swallows the next tap wherever it lands.
    pane.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    pane.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      if (this.pointers.size === 0) this.owner = pane;
      if (this.owner !== pane || this.pointers.size > 1) return;
      pane.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
      pane.classList.add("dragged");
      if (this.pointers.size === 1) this.press = { ...at(event), moved: false };
      else this.press.moved = true; // a second finger makes it a pinch and never a tap
    });
    pane.addEventListener("pointermove", (event) => {
      if (this.owner === pane && this.pointers.has(event.pointerId)) this.move(event.pointerId, at(event));
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      pane.addEventListener(kind, (event) => {
        if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
        pane.classList.remove("dragged");
        if (kind === "pointerup" && !this.press.moved) this.tap(event);
      });
    }
  }

  move(id, now) {
    const before = this.pointers.get(id);
    if (this.pointers.size === 1) {
      this.press.moved ||= Math.hypot(now.x - this.press.x, now.y - this.press.y) > 8;
      this.pan(now.x - before.x, now.y - before.y);
    } else {
      const other = [...this.pointers].find(([key]) => key !== id)[1];
      const ratio = Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
      this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      if (Number.isFinite(ratio)) this.zoomAt(this.zoom * ratio, (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    this.pointers.set(id, now);
  }

  // A click zooms; on a touch screen it takes a double tap, since single ones happen.
  tap(event) {
    const now = performance.now();
    const second = now - (this.tapped ?? -1e9) < 350;
    this.tapped = second ? undefined : now;
    if (event.pointerType === "mouse" || second) this.toggle(this.press.x, this.press.y);
  }
}
