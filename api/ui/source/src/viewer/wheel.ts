/** How many images a turn of the wheel is: one for each notch, whatever a browser makes of it; of a touchpad's many small moves the sum counts. */

const NOTCH_PX = 120; // browsers tell 100 to 120; those that turn fast tell several at once
const LEAST_NOTCH_PX = 50;
const TOUCHPAD_PX = 40;

export class Wheel {
  private left = 0;

  /** Return by how many images to go on; `isPixels` false: the browser counts lines or pages, a notch each. */
  turn(delta: number, isPixels: boolean): number {
    if (Math.sign(delta) !== Math.sign(this.left)) this.left = 0;
    const size = Math.abs(delta);
    if (!isPixels) return Math.sign(delta);
    if (size >= LEAST_NOTCH_PX) {
      this.left = 0;
      return Math.sign(delta) * Math.max(1, Math.round(size / NOTCH_PX));
    }
    this.left += delta;
    const steps = Math.trunc(this.left / TOUCHPAD_PX) || 0; // never -0
    this.left -= steps * TOUCHPAD_PX;
    return steps;
  }
}
