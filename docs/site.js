// Wide tables scroll in a frame of their own, which the keyboard has to reach
addEventListener('load', () => document.querySelectorAll('.md-typeset__scrollwrap').forEach(o => { o.tabIndex = 0 }))
