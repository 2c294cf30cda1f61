// What the page knows at this moment, and how it asks for more.
import { post } from "./api.js"
import { kept } from "./status.js"

const PATIENCE_MS = 15000

/** `current` and `ready` are entries: an item with its stage and answers. `lately`: what was decided, the newest first. */
export const state = { reviewer: kept.name(), seat: kept.seat(), deployment: "", deployments: [], current: null, ready: [], lately: [], lease: 60000, skew: 0,
  waiting: 0, today: 0, paused: false, asked: false, fault: null, pressed: null, awaiting: null, empty: null, since: 0 }

export const at = id => document.getElementById(id)

/** POST below /v1/reviews, as this reviewer in this window. */
export const ask = (path, body) => post(`v1/reviews/${path}`, { ...body, seat: state.seat, ...(state.reviewer ? { reviewer: state.reviewer } : {}) },
  { signal: AbortSignal.timeout(PATIENCE_MS) })

export const holding = () => [state.current, ...state.ready].filter(Boolean).map(entry => entry.item.id)

/** The server's clock. */
export const now = () => Date.now() + state.skew
