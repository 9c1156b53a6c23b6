/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Draws the picture that ships with Hearth, a fire in a brick fireplace, as a PGM file: light is
 * hot. All of it is arithmetic on coordinates: no random numbers, no libm but sqrt (which is
 * exact), so the same picture comes out everywhere.
 *
 *     make_picture [SIDE] > hearth.pgm
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The scene is drawn on a square from 0,0 (top left) to 1,1; temperatures go from 0 to 1. */
#define FLOOR_Y    0.86
#define OPENING_X  0.27 /* half the opening's width */
#define OPENING_Y  0.62 /* where the arch begins; it ends on the floor */
#define RING_WIDTH 0.055

static double clamp(double value)
{
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

static double mix(double a, double b, double part)
{
    return a + (b - a) * part;
}

/* From 0 at `from` to 1 at `to`, without corners. */
static double ramp(double from, double to, double value)
{
    double t = clamp((value - from) / (to - from));

    return t * t * (3 - 2 * t);
}

/* ------------------------------------------------------------------------------------------ */
/* Texture                                                                                    */

/* A number from 0 to 1 that belongs to the pair and looks as if it did not. */
static double hash(int x, int y)
{
    uint32_t bits = (uint32_t)x * 0x9e3779b1u ^ (uint32_t)y * 0x85ebca77u;

    bits = (bits ^ bits >> 15) * 0x2c1b3c6du;
    bits = (bits ^ bits >> 12) * 0x297a2d39u;
    return (bits ^ bits >> 15) / 4294967296.0;
}

/* The same, but continuous between whole numbers. */
static double noise(double x, double y)
{
    int left = (int)floor(x), top = (int)floor(y);
    double u = ramp(0, 1, x - left), v = ramp(0, 1, y - top);

    return mix(mix(hash(left, top), hash(left + 1, top), u),
               mix(hash(left, top + 1), hash(left + 1, top + 1), u), v);
}

static double rough(double x, double y)
{
    return 0.57 * noise(x, y) + 0.29 * noise(2 * x, 2 * y) + 0.14 * noise(4 * x, 4 * y);
}

/* ------------------------------------------------------------------------------------------ */
/* The room                                                                                   */

static double wall(double x, double y)
{
    const double tall = 1.0 / 20, wide = 1.0 / 8.5, mortar = 0.0035;
    int row = (int)floor(y / tall);
    double along = x + (row & 1) * wide / 2 + 1;
    int column = (int)floor(along / wide);
    double from_left = along - column * wide, from_top = y - row * tall;
    double edge = fmin(fmin(from_left, wide - from_left), fmin(from_top, tall - from_top));
    double brick = 0.13 + 0.10 * hash(column, row) + 0.05 * rough(x * 60, y * 60);

    return mix(0.05, brick, ramp(mortar, 2.2 * mortar, edge));
}

/* How far outside of the opening a point is; negative inside. */
static double outside_opening(double x, double y)
{
    double dx = x - 0.5;

    if (y >= OPENING_Y)
        return fabs(dx) - OPENING_X;
    return sqrt(dx * dx + (y - OPENING_Y) * (y - OPENING_Y)) - OPENING_X;
}

/* The dressed stones around the opening: by angle in the arch, by height beside it. */
static double ring(double x, double y, double outside)
{
    double dx = x - 0.5, dy = OPENING_Y - y, stone;

    if (dy > 0) {
        /* A stand-in for the angle: 0 to 2 over the half circle, near enough to even. */
        double t = dx / (fabs(dx) + dy);
        stone = 6.5 + 6.5 * t * (1.27 - 0.27 * fabs(t));
    } else {
        stone = 20 - dy / 0.06 + (dx > 0 ? 20 : 0);
    }
    double from_joint = stone - floor(stone);
    double edge =
        fmin(fmin(from_joint, 1 - from_joint) * 0.055, fmin(outside, RING_WIDTH - outside));
    double face = 0.34 + 0.12 * hash((int)floor(stone), 7) + 0.05 * rough(x * 70, y * 70);

    return mix(0.05, face, ramp(0.001, 0.006, edge));
}

/* The name on the mantel: five columns of seven dots a letter. */
static bool lettering(double x, double y)
{
    static const char *const rows[7] = {
        "#   # #####  ###  ####  ##### #   #", "#   # #     #   # #   #   #   #   #",
        "#   # #     #   # #   #   #   #   #", "##### ####  ##### ####    #   #####",
        "#   # #     #   # # #     #   #   #", "#   # #     #   # #  #    #   #   #",
        "#   # ##### #   # #   #   #   #   #"};
    const double dot = 0.0125;
    int column = (int)floor((x - 0.5) / dot + 17.5);
    int row = (int)floor((y - 0.157) / dot);

    return row >= 0 && row < 7 && column >= 0 && column < 35 && rows[row][column] == '#';
}

static double mantel(double x, double y)
{
    double edge = fmin(fmin(y - 0.12, 0.28 - y), 0.44 - fabs(x - 0.5));
    double face = 0.27 + 0.07 * rough(x * 14, y * 110);

    if (lettering(x, y))
        return 0.97;
    return mix(0.42, face, ramp(0.004, 0.012, edge));
}

static double flagstones(double x, double y)
{
    double depth = (y - FLOOR_Y) / (1 - FLOOR_Y);
    double across = (x - 0.5) / (1 + 0.5 * depth) / 0.16 + 10.5;
    double edge = fmin(across - floor(across), 1 - (across - floor(across))) * 0.16;
    double dx = x - 0.5;
    double shine = 0.30 * (1 - depth) / (1 + 22 * dx * dx);
    double face = 0.16 + 0.06 * hash((int)floor(across), 3) + 0.05 * rough(x * 40, y * 90);

    return mix(0.06, face + shine, ramp(0.001, 0.005, fmin(edge, y - FLOOR_Y)));
}

/* ------------------------------------------------------------------------------------------ */
/* The fire                                                                                   */

/* How deep a point is in a flame, 0 to 1; the flame sways, the more the higher. */
static double flame(double x, double y, double foot_x, double height, double half, int id)
{
    double t = (FLOOR_Y - 0.045 - y) / height;

    if (t <= -0.08 || t >= 1)
        return 0;
    double sway = (noise(2.4 * t + 0.4, 11.0 * id) - 0.5) * 0.55 * height * (t > 0 ? t : 0);
    double lick = (noise(x * 40 + id, y * 16) - 0.5) * 0.36 * t;
    double width = half * sqrt(t + 0.08) * (1 - t) * 2.2;
    double off = fabs(x - foot_x - sway) / (width + 1e-9) + lick;

    return clamp(1 - off) * ramp(1, 0.75, t);
}

static double fire(double x, double y)
{
    static const struct {
        double foot_x, height, half;
    } flames[] = {{0.50, 0.42, 0.100},  {0.41, 0.29, 0.075},  {0.595, 0.33, 0.080},
                  {0.335, 0.17, 0.055}, {0.675, 0.19, 0.055}, {0.455, 0.36, 0.060},
                  {0.55, 0.25, 0.075}};
    double deepest = 0;

    for (int i = 0; i < (int)(sizeof(flames) / sizeof(flames[0])); i++) {
        double deep = flame(x, y, flames[i].foot_x, flames[i].height, flames[i].half, i + 1);
        deepest = fmax(deepest, deep);
    }
    /* Three bands, as in a woodcut: they keep the flames legible, and blur nicely. */
    return 0.50 * ramp(0.0, 0.10, deepest) + 0.26 * ramp(0.30, 0.42, deepest) +
           0.24 * ramp(0.56, 0.72, deepest);
}

/* The shade of a log from (ax, ay) to (bx, by), or -1 beside it. */
static double timber(double x, double y, double ax, double ay, double bx, double by)
{
    const double thick = 0.031;
    double dx = bx - ax, dy = by - ay, length = sqrt(dx * dx + dy * dy);
    double along = ((x - ax) * dx + (y - ay) * dy) / length;
    double across = ((x - ax) * dy - (y - ay) * dx) / length;
    /* The sawn end is an ellipse about b; the other end is round and out of sight. */
    double ex = (along - length) / (thick * 0.45), ey = across / thick;
    double end = sqrt(ex * ex + ey * ey);

    if (end <= 1) {
        double rings = end * 4 - floor(end * 4);
        return end > 0.9 ? 0.12 : 0.50 + 0.16 * ramp(0.35, 0.6, rings);
    }
    if (along < 0 || along > length || fabs(across) > thick)
        return -1;
    double round = sqrt(1 - ey * ey);
    double bark = noise(along * 24, across * 260);
    return 0.10 + 0.22 * round * bark +
           0.55 * ramp(0.62, 0.80, bark) * ramp(0.9, 0.2, along / length);
}

static double sparks(double x, double y)
{
    static const double at[][3] = {
        {0.43, 0.44, 0.0045}, {0.565, 0.41, 0.0055}, {0.37, 0.53, 0.005},  {0.63, 0.49, 0.0045},
        {0.48, 0.385, 0.004}, {0.655, 0.58, 0.005},  {0.345, 0.61, 0.004}, {0.525, 0.395, 0.0035}};
    double glow = 0;

    for (int i = 0; i < (int)(sizeof(at) / sizeof(at[0])); i++) {
        double dx = x - at[i][0], dy = y - at[i][1];
        glow = fmax(glow, ramp(1.25, 0.75, sqrt(dx * dx + dy * dy) / at[i][2]));
    }
    return glow;
}

static double fireplace(double x, double y)
{
    double dx = x - 0.5, dy = y - 0.74;
    double soot = 0.035 + 0.05 * rough(x * 18, y * 18);
    double value = soot + 0.26 / (1 + 26 * (dx * dx + dy * dy));
    double shade;

    value = fmax(value, 0.95 * sparks(x, y));
    shade = timber(x, y, 0.62, 0.785, 0.315, 0.825);
    value = shade >= 0 ? shade : value;
    value = fmax(value, fire(x, y));
    shade = timber(x, y, 0.37, 0.785, 0.685, 0.828);
    value = shade >= 0 ? shade : value;
    /* Embers in the ash. */
    if (y > FLOOR_Y - 0.03 + 0.012 * noise(x * 30, 1)) {
        double ember = rough(x * 75, y * 75);
        value = 0.20 + 0.75 * ramp(0.45, 0.66, ember) * ramp(0.26, 0.16, fabs(dx));
    }
    return value;
}

static double scene(double x, double y)
{
    double outside = outside_opening(x, y);
    double dx = x - 0.5, dy = y - OPENING_Y;

    if (y > FLOOR_Y)
        return flagstones(x, y);
    if (outside <= 0)
        return fireplace(x, y);
    if (outside < RING_WIDTH)
        return ring(x, y, outside);
    if (y > 0.12 && y < 0.28 && fabs(x - 0.5) < 0.44)
        return mantel(x, y);
    return wall(x, y) * (0.62 + 0.55 / (1 + 9 * (dx * dx + dy * dy)));
}

int main(int argc, char **argv)
{
    const int samples = 3; /* in each direction, against jagged edges */
    int side = argc > 1 ? atoi(argv[1]) : 768;

    if (argc > 2 || side < 16 || side > 16384) {
        fprintf(stderr, "usage: %s [SIDE] > FILE.pgm, with a SIDE of 16 to 16384\n", argv[0]);
        return EXIT_FAILURE;
    }
    printf("P5\n# A fire in a hearth. Made by make_picture.\n%d %d\n255\n", side, side);
    for (int row = 0; row < side; row++) {
        for (int column = 0; column < side; column++) {
            double sum = 0;

            for (int i = 0; i < samples * samples; i++)
                sum += clamp(scene((column + (i % samples + 0.5) / samples) / side,
                                   (row + (i / samples + 0.5) / samples) / side));
            putchar((int)(sum / (samples * samples) * 255 + 0.5));
        }
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("make_picture: cannot write the picture");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
