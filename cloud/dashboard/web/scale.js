// Axes: from values to pixels, and where their lines stand. Pure.

/** A linear scale with round ticks. */
export const linear = (low, high, start, end) => {
  const reach = high - low || 1
  const at = value => start + (value - low) / reach * (end - start)
  const ticks = most => {
    const rough = reach / Math.max(most, 1), power = 10 ** Math.floor(Math.log10(rough))
    const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999)
    const found = []
    for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place++) found.push(Number((place * step).toPrecision(12)))
    return found
  }
  return { at, ticks, low, high, start, end }
}

/** A logarithmic scale: ticks at 1, 2 and 5 of each power, fewer where there is little room. */
export const logarithmic = (low, high, start, end) => {
  const a = Math.log10(low), b = Math.log10(high) === a ? a + 0.5 : Math.log10(high)
  const at = value => start + (Math.log10(Math.max(value, low)) - a) / (b - a) * (end - start)
  const ticks = most => {
    for (const factors of [[1, 2, 5], [1, 3], [1]]) {
      const found = []
      for (let power = Math.floor(a); power <= b; power++) for (const factor of factors) found.push(Number((factor * 10 ** power).toPrecision(12)))
      const inside = found.filter(value => value >= low * 0.999 && value <= high * 1.001)
      if (inside.length <= most || factors.length === 1) return inside
    }
  }
  return { at, ticks, low, high, start, end }
}

const HOURS = [1 / 60, 1 / 30, 1 / 12, 1 / 6, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, 24, 48, 96, 168].map(hours => hours * 3.6e6)

/** Moments at round hours of the viewer's clock. */
export const moments = (start, end, most) => {
  const step = HOURS.find(size => (end - start) / size <= most) || HOURS.at(-1)
  const shift = new Date(start).getTimezoneOffset() * -60_000, found = []
  for (let at = Math.ceil((start + shift) / step) * step - shift; at <= end; at += step) found.push(at)
  return found
}

/** The largest value, with air above. */
export const above = (values, least = 1) => Math.max(...values.filter(Number.isFinite), least) * 1.08

const LIMITS = 5
/** Of a sequence of { estimate, low, high }, what is drawn: all near the limit, and what is known by now; what lies far beyond early on is cut off. */
export const near = (points, limit) => {
  const last = points.at(-1) ?? {}, run = runs(points).at(-1) ?? [], later = run.slice(Math.floor(run.length / 2)), size = Math.max(Math.abs(limit), 1e-4)
  const held = [0, limit, ...later.map(point => point.estimate), last.low, last.high].filter(Number.isFinite), reach = LIMITS * size
  const low = Math.max(Math.min(...held), -reach), high = Math.min(Math.max(...held), Math.max(reach, 1.5 * (last.estimate || 0))), air = (high - low) * 0.1
  return [low < 0 ? low - air : 0, high + air]
}

/** Points in order apart by their phase: with another one a sequence begins anew. */
export const runs = points => points.reduce((found, point) => { found.length && found.at(-1).at(-1).phase === point.phase ? found.at(-1).push(point) : found.push([point]); return found }, [])

/** Of places in order, which are named: those that stand at least `room` behind the last named one. */
export const apart = (places, room) => {
  let last = -Infinity
  return places.map(place => { const shown = place - last >= room; if (shown) last = place; return shown })
}
