"""The orchestrators: each turns decisions into yields."""
