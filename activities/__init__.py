"""The activities: each parses its input, calls an adapter, returns JSON.

Inputs are annotated `object`. The Python worker refuses a parameter that is annotated with a
subscripted built-in such as `dict[str, Any]`, and then loads no function of the app.
"""
