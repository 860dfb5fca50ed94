// Values under the pointer, and lines that can be switched off. Without it the page shows the same curves.
'use strict';
for (const figure of document.querySelectorAll('figure.chart')) {
  const data = JSON.parse(figure.querySelector('script').textContent);
  const plot = figure.querySelector('.plot'), cross = figure.querySelector('.cross'), tip = figure.querySelector('.tip');
  const hidden = new Set();
  const number = (value) => {
    if (value === null) return '–';
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
  };
  for (const button of figure.querySelectorAll('.legend button')) {
    button.addEventListener('click', () => {
      const index = Number(button.dataset.series), isHidden = !hidden.has(index);
      if (isHidden) hidden.add(index); else hidden.delete(index);
      button.setAttribute('aria-pressed', String(!isHidden));
      for (const part of plot.querySelectorAll(`[data-series="${index}"]`)) part.style.display = isHidden ? 'none' : '';
    });
  }
  const nearest = (points, x) => points.reduce((best, point) => Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best);
  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const wanted = data.x[0] + share * (data.x[1] - data.x[0]);
    const shown = data.series.filter((series, index) => !hidden.has(index) && series.points.length);
    if (!shown.length) return;
    const x = shown.map((series) => nearest(series.points, wanted)[0])
      .reduce((best, one) => Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best);
    tip.textContent = '';
    const row = (left, right, colour) => {
      const line = document.createElement('div'), name = document.createElement('span'), value = document.createElement('b');
      if (colour) {
        const swatch = document.createElement('i');
        swatch.className = 'swatch';
        swatch.style.background = `var(--c${colour.index})`;
        name.append(swatch);
      }
      name.append(left);
      value.textContent = right;
      line.append(name, value);
      tip.append(line);
    };
    const epoch = nearest(shown[0].points, x)[2];
    row(`${data.counts} ${x}`, epoch ? `epoch ${epoch}` : '');
    for (const series of shown) {
      const point = nearest(series.points, x);
      if (Math.abs(point[0] - x) <= (data.x[1] - data.x[0]) / 40) row(series.name, number(point[1]), { index: series.colour });
    }
    const place = data.x[1] > data.x[0] ? (x - data.x[0]) / (data.x[1] - data.x[0]) : .5;
    cross.style.display = tip.style.display = 'block';
    cross.style.left = `${place * 100}%`;
    const left = place * box.width;
    tip.style.left = `${left + tip.offsetWidth + 16 > box.width ? Math.max(-40, left - tip.offsetWidth - 12) : left + 12}px`;
    tip.style.top = '6px';
  });
  plot.addEventListener('pointerleave', () => { cross.style.display = tip.style.display = 'none'; });
}
document.documentElement.dataset.ready = 'yes';
