"""How the page looks, by day and by night."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5c6570; --paper: #fcfcfb; --line: #d9dce0; --box: #f2f3f4;
  --good: #1b7a43; --bad: #b3261e; --link: #1f5fa8; --mark: #fdf3e3;
  --h0: #eef2f6; --h1: #dbe5ee; --h2: #b9cee1; --h3: #fbc98a; --h4: #f08a4b; --h5: #d1442f; --h6: #7f1220; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --soft: #9aa3ad; --paper: #15181c; --line: #343a41;
  --box: #1e2227; --good: #5fc98d; --bad: #ff8a80; --link: #8ab8f0; --mark: #2c2618;
  --h0: #20262d; --h1: #2a3540; --h2: #3b5268; --h3: #8a5a1c; --h4: #c96a2a; --h5: #ee5a43; --h6: #ffb3ab; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; } h3::first-letter { text-transform: uppercase; }
p { margin: .35rem 0; } .lead { font-size: 1.1rem; font-weight: 600; }
a { color: var(--link); } .good { color: var(--good); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; } figure { margin: .5rem 0; } figcaption { color: var(--soft); font-size: .875rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
tbody th { position: sticky; left: 0; background: var(--paper); }
th:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: normal; }
td.bad { font-weight: 700; }
.cases td { text-align: left; white-space: normal; }
.diagnosis { background: var(--mark); border-left: 4px solid var(--h4); padding: .6rem 1rem; margin: 1rem 0; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; margin: .6rem 0; }
summary { cursor: pointer; } summary b { margin-right: .4rem; }
.options, .fine, .legend { color: var(--soft); font-size: .9rem; }
.fine::first-letter, .headline::first-letter { text-transform: uppercase; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--box); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; font-size: .85rem; }
.legend span { margin-left: .9rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: 2px; vertical-align: -.05em; }
.planes { display: flex; flex-wrap: wrap; gap: .6rem .9rem; }
.planes small { display: block; color: var(--soft); font-size: .75rem; line-height: 1.4; }
.heat { display: block; max-width: 100%; height: auto; outline: 1px solid var(--line); shape-rendering: crispEdges; }
.heat path { stroke: var(--paper); stroke-width: 1; vector-effect: non-scaling-stroke; fill: none; }
@media (max-width: 40rem) { th, td { padding: .3rem .4rem; } tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 7.6rem; }
  table { font-size: .85rem; }
  .planes small { font-size: .7rem; } details { padding: .5rem .6rem; } }
""" + "\n".join(f".h{k} {{ fill: var(--h{k}); background: var(--h{k}); }}" for k in range(7))
