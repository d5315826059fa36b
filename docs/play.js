// Draws the figures of play.md from play.json, with a slider through their frames. Ink follows the theme of the page
const figures = fetch('play.json').then(reply => reply.json())
const AT_ONCE = { mode: 'immediate', frame: { duration: 0, redraw: true }, transition: { duration: 0 } }

function slider(at, words, names) {
  const label = document.createElement('label'), input = document.createElement('input'), output = document.createElement('output')
  Object.assign(input, { type: 'range', min: 0, max: names.length - 1, value: 0 })
  const show = () => {
    output.value = names[input.value]
    input.setAttribute('aria-valuetext', names[input.value])
    Plotly.animate(at.firstChild, [names[input.value]], AT_ONCE)
  }
  input.addEventListener('input', show)
  label.append(`${words}: `, output, input)
  at.append(label)
  return show
}

async function draw(at) {
  const { data, layout, frames } = structuredClone((await figures)[at.dataset.figure])
  at.replaceChildren(document.createElement('div'))
  layout.font = { ...layout.font, color: getComputedStyle(at).color }
  await Plotly.newPlot(at.firstChild, data, { ...layout, autosize: true }, { displayModeBar: false, responsive: true })
  await Plotly.addFrames(at.firstChild, frames)
  slider(at, layout.meta, frames.map(o => o.name))()
}

let done = Promise.resolve() // one drawing after the other: the theme may change in the midst of the first
const drawAll = () => { done = done.then(() => Promise.all([...document.querySelectorAll('[data-figure]')].map(draw))) }
drawAll()
new MutationObserver(drawAll).observe(document.body, { attributeFilter: ['data-md-color-scheme'] })
