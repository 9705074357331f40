//! Inventory and allow-list, their validation, and the message sent to the sensor.
