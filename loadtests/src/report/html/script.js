// A hair line over all charts of time at once; the legends read out what is under it. Everything else works without.
(function () {
  "use strict";
  var charts = Array.prototype.map.call(document.querySelectorAll(".timed"), function (figure) {
    var svg = figure.querySelector(".plot > svg");
    var hair = document.createElementNS(svg.namespaceURI, "line");
    hair.setAttribute("class", "hair");
    hair.setAttribute("y1", "14");
    hair.setAttribute("y2", String(svg.height.baseVal.value - 24));
    hair.setAttribute("visibility", "hidden");
    svg.appendChild(hair);
    var clock = document.createElementNS(svg.namespaceURI, "text");
    clock.setAttribute("class", "clock");
    clock.setAttribute("y", "11");
    svg.appendChild(clock);
    var lines = Array.prototype.map.call(svg.querySelectorAll("path[data-read]"), function (path) {
      return path.dataset.read.split("|").filter(Boolean).map(function (entry) {
        var at = entry.indexOf("=");
        return { at: Number(entry.slice(0, at)), text: entry.slice(at + 1) };
      });
    });
    return { svg: svg, hair: hair, clock: clock, lines: lines, end: Number(svg.dataset.end), outputs: figure.querySelectorAll(".legend output") };
  });

  function nearest(line, at) {
    var low = 0, high = line.length - 1;
    while (low < high) {
      var middle = (low + high) >> 1;
      if (line[middle].at < at) { low = middle + 1; } else { high = middle; }
    }
    if (low > 0 && at - line[low - 1].at < line[low].at - at) { low -= 1; }
    return line[low];
  }

  function two(number) { return (number < 10 ? "0" : "") + number; }

  function time(at) {
    var seconds = Math.round(at), minutes = Math.floor(seconds / 60);
    if (seconds < 60) { return seconds + " s"; }
    if (minutes < 60) { return minutes + ":" + two(seconds % 60); }
    return Math.floor(minutes / 60) + ":" + two(minutes % 60) + ":" + two(seconds % 60);
  }

  function show(share) {
    charts.forEach(function (chart) {
      // As far as a gap may be: a second, or a hundredth of a long run.
      var at = share * chart.end, reach = Math.max(1, chart.end / 100);
      chart.hair.setAttribute("x1", share * 100 + "%");
      chart.hair.setAttribute("x2", share * 100 + "%");
      chart.hair.setAttribute("visibility", "visible");
      chart.clock.setAttribute("x", share * 100 + "%");
      chart.clock.textContent = time(at);
      chart.lines.forEach(function (line, index) {
        var point = nearest(line, at);
        chart.outputs[index].textContent = point && Math.abs(point.at - at) <= reach ? point.text : "–";
      });
    });
  }

  function hide() {
    charts.forEach(function (chart) {
      chart.hair.setAttribute("visibility", "hidden");
      chart.clock.textContent = "";
      chart.outputs.forEach(function (output) { output.textContent = ""; });
    });
  }

  charts.forEach(function (chart) {
    chart.svg.addEventListener("pointermove", function (event) {
      var box = chart.svg.getBoundingClientRect();
      show(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
    });
    chart.svg.addEventListener("pointerleave", hide);
  });
})();
