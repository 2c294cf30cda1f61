/** A binary heap of numbers, smallest first. */
export class Queue {
  /** @type {number[]} */
  #held = [];

  get size() {
    return this.#held.length;
  }

  /** @param {number} value */
  push(value) {
    const held = this.#held;
    let place = held.push(value) - 1;
    while (place) {
      const parent = (place - 1) >> 1;
      if (held[parent] <= value) break;
      held[place] = held[parent];
      place = parent;
    }
    held[place] = value;
  }

  /** The smallest; the queue must not be empty. @returns {number} */
  pop() {
    const held = this.#held;
    const least = held[0];
    const last = /** @type {number} */ (held.pop());
    if (held.length) this.#sink(last);
    return least;
  }

  /** @param {number} value */
  #sink(value) {
    const held = this.#held;
    let place = 0;
    for (let child = 1; child < held.length; child = 2 * place + 1) {
      if (child + 1 < held.length && held[child + 1] < held[child]) child += 1;
      if (held[child] >= value) break;
      held[place] = held[child];
      place = child;
    }
    held[place] = value;
  }
}
