"""Draws a star in a window; click into it to close it."""

import turtle

turtle.speed("fastest")
turtle.color("teal")
for _ in range(36):
    turtle.forward(200)
    turtle.left(170)
turtle.exitonclick()
