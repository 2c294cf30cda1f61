// A sound with its shape: play, pause, jump. The shape is drawn from the samples themselves.
import { element } from "./api.js"

const POINTS = 240, HIGH = 72
const SVG = "http://www.w3.org/2000/svg"

/** A player; `ready` resolves when it can play. */
export const sounding = (content, name) => {
  const player = element("audio", { controls: true, preload: "auto", "aria-label": `Sound: ${name}` })
  const shape = document.createElementNS(SVG, "svg")
  shape.setAttribute("viewBox", `0 0 ${POINTS} ${HIGH}`)
  shape.setAttribute("preserveAspectRatio", "none")
  shape.setAttribute("aria-hidden", "true")
  const line = element("div", { class: "playhead" }), wave = element("div", { class: "wave" }, shape, line)
  const box = element("figure", { class: "sound" }, wave, player)
  wave.addEventListener("click", event => {
    const width = wave.getBoundingClientRect()
    if (player.duration) player.currentTime = (event.clientX - width.left) / width.width * player.duration
  })
  player.addEventListener("timeupdate", () => { line.style.left = `${100 * player.currentTime / (player.duration || 1)}%` })
  box.toggle = () => { if (player.paused) player.play().catch(() => {}); else player.pause() }
  box.close = () => { player.pause(); URL.revokeObjectURL(player.src) }
  box.ready = content.then(async file => {
    player.src = URL.createObjectURL(file)
    await draw(shape, file).catch(() => wave.remove())  // a format that this browser plays but does not decode here
  })
  return box
}

/** Peaks of the first channel as bars. */
const draw = async (shape, file) => {
  const sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await file.arrayBuffer())
  const samples = sound.getChannelData(0), step = samples.length / POINTS
  for (let place = 0; place < POINTS; place += 1) {
    let peak = 0
    for (let at = Math.floor(place * step); at < Math.min(samples.length, (place + 1) * step); at += 1) peak = Math.max(peak, Math.abs(samples[at]))
    const bar = document.createElementNS(SVG, "rect"), high = Math.max(1, Math.min(1, peak) * HIGH)
    for (const [key, value] of Object.entries({ x: place + 0.15, y: (HIGH - high) / 2, width: 0.7, height: high })) bar.setAttribute(key, value)
    shape.append(bar)
  }
}
