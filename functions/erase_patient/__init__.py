"""Asked by the dashboard, a command or the schedule: erases a patient everywhere, as often as it takes."""
