"""The activities: each parses its input, calls an adapter, returns JSON.

Inputs are annotated `object`: the Python worker loads no function whose parameter is annotated
with a subscripted built-in such as `dict[str, Any]`, and with it no function of the app.
"""
